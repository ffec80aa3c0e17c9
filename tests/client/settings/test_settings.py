# SPDX-License-Identifier: Apache-2.0
"""A site's TOML is complete, explained and refused when wrong; a site's home lies beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from client.settings.site_settings import SiteFolder, SiteSettings
from privacy.base.errors import SettingsError
from privacy.commandline.settings_file import parse_toml, render

GOOD = """
[site]
name = "hospital_a"
[data]
files = ["notes.csv", "/elsewhere/more.jsonl"]
dataset = "discharge-notes"
patient_column = "patient"
[model.paths]
"aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11" = "models/clinical"
[policy]
unit = "patient"
epsilon_limit = 8
delta = 1e-5
size_bucket = 512
"""


def models(model: type[BaseModel]) -> list[type[BaseModel]]:
    inner = [f.annotation for f in model.model_fields.values()]
    return [model, *(m for t in inner if isinstance(t, type) and issubclass(t, BaseModel) for m in models(t))]


def site(folder: Path, text: str = GOOD, name: str = "hospital_a") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def test_every_setting_explains_itself() -> None:
    for model in models(SiteSettings):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"


def test_the_resolved_settings_print_and_read_back(tmp_path: Path) -> None:
    settings = SiteFolder(site(tmp_path)).settings
    again = parse_toml(render(settings), SiteSettings, origin="printed")
    assert again == settings
    assert again.policy_digest == settings.policy_digest


def test_paths_are_relative_to_the_toml_and_the_home_lies_beside_it(tmp_path: Path) -> None:
    folder = SiteFolder(site(tmp_path))
    assert folder.data_files == (tmp_path / "notes.csv", Path("/elsewhere/more.jsonl"))
    assert folder.model_folders["aa11" * 16] == tmp_path / "models" / "clinical"
    assert folder.home == tmp_path / "hospital_a"
    assert folder.ledger == tmp_path / "hospital_a" / "ledger.sqlite"


def test_a_sites_home_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = SiteFolder(site(tmp_path))
    folder.create()
    folder.create()
    assert folder.keys.stat().st_mode & 0o777 == 0o700
    assert folder.home.stat().st_mode & 0o777 == 0o700
    assert not folder.simulated
    folder.simulated_marker.touch()
    assert folder.simulated


def test_a_toml_that_names_another_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"says site\.name is hospital_a"):
        SiteFolder(site(tmp_path, name="hospital_b"))


def test_the_patient_unit_needs_a_patient_column(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="patient_column must name the column"):
        SiteFolder(site(tmp_path, GOOD.replace('patient_column = "patient"', "")))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("size_bucket = 512", "size_bucket = 0", "policy.size_bucket"),
        ("epsilon_limit = 8", "epsilon_limit = -1", "policy.epsilon_limit"),
        ("epsilon_limit = 8", "epsilon_limt = 8", "the nearest one is policy.epsilon_limit"),
        ('name = "hospital_a"', 'name = "Hospital A"', "site.name"),
        ('files = ["notes.csv", "/elsewhere/more.jsonl"]', "files = []", "data.files"),
        (
            'dataset = "discharge-notes"',
            'dataset = "x"\nunknown_label = "refuse_round"',
            "data.unknown_label is no setting any more: take the line out",
        ),
        ('dataset = "discharge-notes"', 'dataset = "x"\ndelimiter = "ab"', "auto or one character"),
        ("[policy]", "[policy]\nsimulated = true", "policy.simulated is not a setting"),
        ("delta = 1e-5", "delta = 1e-5\n[compute]\nthreads = 0", "compute.threads"),
        ('dataset = "discharge-notes"', 'dataset = "x"\ntest_fraction = 0.6\ndev_fraction = 0.6', "must not exceed 1"),
    ],
)
def test_a_wrong_setting_is_told_by_name(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(SettingsError) as caught:
        SiteFolder(site(tmp_path, GOOD.replace(old, new)))
    assert told in caught.value.message


def test_a_policy_has_one_digest_whatever_else_a_site_sets(tmp_path: Path) -> None:
    one = SiteFolder(site(tmp_path)).settings
    other = SiteFolder(site(tmp_path, GOOD + "[compute]\nthreads = 2\n")).settings
    looser = SiteFolder(site(tmp_path, GOOD.replace("epsilon_limit = 8", "epsilon_limit = 9"))).settings
    assert one.policy_digest == other.policy_digest != looser.policy_digest
