# SPDX-License-Identifier: Apache-2.0
"""A scenario's folders are real ones that say that they are simulated, and nothing else is ever removed for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import simulations.build as room
from client.enrolment import enroll, join, load_identity
from client.settings.site_settings import SiteFolder
from coordinator import provision
from privacy.base.errors import PlanRefused, SettingsError
from privacy.protocol.enrolment import fingerprint_of
from simulations.build import MARKER, Built, bucket_of, build
from simulations.scenario import Scenario

NOW = datetime.now(UTC)


def test_the_folders_of_one_scenario_are_the_same_wherever_they_are_made(
    small: Scenario, built_small: Path, tmp_path: Path
) -> None:
    other = build(small, tmp_path / "elsewhere", None, fresh=False)
    assert {site.stem for site in (built_small / "sites").glob("*.toml")} == {"hospital_a", "hospital_b", "holdout"}
    sites = ("sites/hospital_a/data/notes.jsonl", "sites/hospital_b/keys/site.key", "sites/hospital_a.toml")
    coordinator = ("keys/log.key", "model/initial.safetensors", "model/model.json")
    for name in (*sites, *(f"coordinator/{name}" for name in coordinator)):
        assert (built_small / name).read_bytes() == (other.out / name).read_bytes(), name


def test_sites_share_no_key_and_no_note(built_small: Path) -> None:
    for name in ("keys/site.key", "keys/signing.key", "keys/node.key", "data/notes.jsonl"):
        first, second = ((built_small / "sites" / site / name).read_bytes() for site in ("hospital_a", "hospital_b"))
        assert first != second


def test_every_simulated_folder_says_so(copy_of: Callable[..., Built], built_small: Path) -> None:
    built = copy_of(built_small)
    assert built.federation.simulated
    for name, folder in built.sites.items():
        assert folder.simulated
        assert built.identities[name].simulated


def test_a_simulated_site_refuses_a_real_kit_and_a_real_federation_refuses_the_site(
    copy_of: Callable[..., Built], built_small: Path, tmp_path: Path
) -> None:
    built = copy_of(built_small)
    folder = built.sites["hospital_a"]
    real = provision.init(tmp_path / "real", hosts=("localhost",), now=NOW)
    enrolment = built.identities["hospital_a"].enrolment
    with pytest.raises(SettingsError, match="known seed"):
        provision.admit(real, enrolment, now=NOW)
    kit = built.identities["hospital_a"].kit.model_copy(update={"simulated": False})
    with pytest.raises(PlanRefused, match="known seed"):
        join(folder, kit, now=NOW)

    fresh = enroll(folder)
    assert not fresh.simulated
    assert fingerprint_of(fresh.keys.signing) != fingerprint_of(enrolment.keys.signing)
    join(folder, provision.admit(real, fresh, now=NOW), now=NOW)
    assert not load_identity(SiteFolder(folder.toml), now=NOW).simulated


def test_a_folder_that_is_no_simulation_is_left_alone(small: Scenario, tmp_path: Path) -> None:
    thesis = tmp_path / "work" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    for fresh in (False, True):
        with pytest.raises(SettingsError, match="no simulation"):
            build(small, thesis.parent, None, fresh=fresh)
    assert thesis.read_text() == "years of work"
    assert list(thesis.parent.iterdir()) == [thesis]


def test_another_simulation_is_removed_only_when_asked(copy_of: Callable[..., Built], built_small: Path) -> None:
    out, other = copy_of(built_small).out, copy_of(built_small, "other").scenario.model_copy(update={"seed": 9})
    with pytest.raises(SettingsError, match="another simulation") as refused:
        build(other, out, None, fresh=False)
    assert "--fresh" in str(refused.value.next_step)
    assert (out / "sites" / "hospital_a" / "data" / "notes.jsonl").exists()
    before = (out / "sites" / "hospital_a" / "data" / "notes.jsonl").read_bytes()
    build(other, out, None, fresh=True)
    assert (out / "sites" / "hospital_a" / "data" / "notes.jsonl").read_bytes() != before


def test_folders_that_were_only_half_made_are_made_anew(
    small: Scenario, built_small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(room, "describe", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(small, tmp_path / "out", None, fresh=False)
    assert (tmp_path / "out" / MARKER).exists()
    built = build(small, tmp_path / "out", None, fresh=False)
    assert (built.out / MARKER).read_bytes() == (built_small / MARKER).read_bytes()
    assert set(built.sites) == {"hospital_a", "hospital_b"}


@pytest.mark.parametrize(
    ("units", "bucket"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (6, 6), (7, 6), (95, 64), (96, 96)]
)
def test_a_bucket_is_a_power_of_two_or_half_as_much_again(units: int, bucket: int) -> None:
    assert bucket_of(units) == bucket


def test_a_scenario_of_rows_asks_for_rows(small: Scenario, tmp_path: Path) -> None:
    rows = small.model_copy(update={"corpus": small.corpus.model_copy(update={"kind": "by-field"})})
    with pytest.raises(SettingsError, match="needs rows"):
        build(rows, tmp_path / "out", None, fresh=False)
    empty = small.model_copy(update={"hospitals": ()})
    with pytest.raises(SettingsError, match="no hospitals"):
        build(empty, tmp_path / "none", None, fresh=False)
