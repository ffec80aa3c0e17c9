# SPDX-License-Identifier: Apache-2.0
"""A folder becomes a run: its recipe is calibrated once, logged whole, and held to afterwards."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from coordinator import provision
from coordinator.app import calibrate_elsewhere, make_recipe, software
from coordinator.folder import FederationFolder
from coordinator.settings import FederationSettings
from privacy.base.canonical import canonical_bytes, digest_of
from privacy.base.errors import SettingsError
from privacy.base.identifiers import sha256
from privacy.commandline.settings_file import render, settings_digest
from privacy.log.keys import SigningKey
from privacy.protocol.enrolment import Enrolment, KeySlots, line_of, sign_enrolment
from privacy.protocol.identity import make_request
from privacy.update.delta import ArraySpec, ModelContract, model_bytes

NOW = datetime.now(UTC)


def enrolment(site: str) -> Enrolment:
    from cryptography.hazmat.primitives.asymmetric import ec

    node, tls = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    key = SigningKey.generate()
    unsigned = Enrolment(
        site=site,
        role="trainer",
        size_bucket=64,
        policy_digest="9" * 64,
        simulated=False,
        keys=KeySlots(
            signing=key.verify_key().hex(),
            node=line_of(node.public_key()),
            tls=line_of(tls.public_key()),
        ),
        secret_key_commitment=sha256(site.encode()),
        certificate_request=make_request(tls, site, "trainer"),
        node_signature="",
        signature="",
    )
    return sign_enrolment(unsigned, key, node)


@pytest.fixture
def folder(tmp_path: Path) -> FederationFolder:
    made = provision.init(tmp_path / "lung", hosts=("localhost",), now=NOW, settings=FederationSettings())
    contract = ModelContract(
        task=made.settings.task_plan(),
        training=made.settings.training.plan(),
        pretrained_digest="d" * 64,
        tokenizer_digest="e" * 64,
        arrays=(ArraySpec(name="head", shape=(2, 4)),),
    )
    made.contract.write_bytes(canonical_bytes(contract))
    made.initial_model.write_bytes(model_bytes(contract, np.zeros(8, np.float32)))
    for site in ("alder", "birch"):
        provision.admit(made, enrolment(site), now=NOW)
    return made


def noise(*numbers: float) -> str:
    return "1.5" if numbers[2] < 1 else "7"


def test_a_recipe_holds_the_resolved_settings_in_full(folder: FederationFolder) -> None:
    asked: list[tuple[float, ...]] = []

    def calibrate(*numbers: float) -> str:
        asked.append(numbers)
        return noise(*numbers)

    recipe = make_recipe(folder, calibrate, None)
    opened = recipe.opened
    assert asked == [(8.0, 1e-5, 0.1, 20), (8.0, 1e-5, 1.0, 5)]  # 4 rounds of 5 steps, and 5 evaluations
    assert (opened.noise_multiplier, opened.evaluation_noise_multiplier) == ("1.5", "7")
    assert opened.settings_digest == settings_digest(folder.settings) == digest_of(opened.settings)
    assert list(opened.roster) == ["alder", "birch"]
    assert opened.software == software()
    assert {"python", "collab", "flwr"} <= set(opened.software)
    assert not opened.simulated


def test_a_run_that_is_open_keeps_its_noise_and_its_roster(folder: FederationFolder) -> None:
    opened = make_recipe(folder, noise, None).opened
    provision.admit(folder, enrolment("cedar"), now=NOW)

    def never(*_: Any) -> str:
        pytest.fail("calibrated again")

    assert make_recipe(folder, never, opened).opened == opened


def test_settings_changed_in_between_make_another_recipe(folder: FederationFolder) -> None:
    opened = make_recipe(folder, noise, None).opened
    privacy = folder.settings.privacy.model_copy(update={"target_epsilon": 4.0})
    folder.toml.write_text(render(folder.settings.model_copy(update={"privacy": privacy})))
    again = make_recipe(FederationFolder(folder.root), noise, opened).opened
    assert again.settings_digest != opened.settings_digest


def test_a_model_made_for_other_settings_is_told(folder: FederationFolder) -> None:
    task = folder.settings.task.model_copy(update={"labels": ("a", "b", "c")})
    folder.toml.write_text(render(folder.settings.model_copy(update={"task": task})))
    with pytest.raises(SettingsError, match=r"another task") as refused:
        make_recipe(FederationFolder(folder.root), noise, None)
    assert "collab-client describe" in str(refused.value.next_step)


def test_a_folder_without_model_or_sites_says_which_command_is_next(folder: FederationFolder) -> None:
    for path in folder.roster.glob("*.json"):
        path.unlink()
    with pytest.raises(SettingsError, match="no site was admitted"):
        make_recipe(folder, noise, None)
    folder.contract.unlink()
    with pytest.raises(SettingsError, match="no model") as refused:
        make_recipe(folder, noise, None)
    assert str(folder.root) not in str(refused.value)


@pytest.mark.parametrize(
    "sections",
    [
        {"privacy": {"notes_per_patient": 2, "unit": "record"}},
        {"privacy": {"notes_per_patient": 2, "clipping": "ghost"}},
        {"privacy": {"notes_per_patient": 2, "mode": "none"}},
        {"privacy": {"notes_per_patient": 33}},
    ],
)
def test_several_notes_of_a_patient_that_could_not_be_clipped_as_one_are_no_settings(sections: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="notes_per_patient"):
        FederationSettings.model_validate(sections)
    assert FederationSettings.model_validate({"privacy": {"notes_per_patient": 32}}).privacy.unit == "patient"


def test_a_run_without_privacy_is_not_calibrated(folder: FederationFolder) -> None:
    privacy = folder.settings.privacy.model_copy(update={"mode": "none"})
    folder.toml.write_text(render(folder.settings.model_copy(update={"privacy": privacy})))
    opened = make_recipe(FederationFolder(folder.root), lambda *_: pytest.fail("calibrated"), None).opened
    assert (opened.noise_multiplier, opened.evaluation_noise_multiplier) == (None, None)


@pytest.mark.slow
def test_the_noise_is_calibrated_in_another_process_as_it_would_be_in_this_one() -> None:
    from privacy.dp.calibrate import noise_multiplier

    assert calibrate_elsewhere(8.0, 1e-5, 0.1, 20) == noise_multiplier(8.0, 1e-5, 0.1, 20)
    with pytest.raises(SettingsError, match="no noise keeps"):
        calibrate_elsewhere(-1.0, 1e-5, 0.1, 20)
