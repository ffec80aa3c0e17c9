# SPDX-License-Identifier: Apache-2.0
"""Scenario and federation files: every key known, every value in bounds, and each mistake told with what would do."""

from __future__ import annotations

import pytest

from coordinator.settings import FederationSettings
from privacy.base.errors import SettingsError
from privacy.commandline.settings_file import parse_toml, render, settings_digest
from simulations import scenario as scenarios
from simulations.scenario import Scenario

SMALLEST = """
title = "x"
[corpus]
kind = "notes"
[federation]
"""


@pytest.mark.parametrize("name", scenarios.names())
def test_every_scenario_that_comes_along_is_sound_and_can_be_written_and_read_again(name: str) -> None:
    one = scenarios.load(name)
    again = parse_toml(render(one), Scenario, origin="again.toml")
    assert again == one
    assert settings_digest(again) == settings_digest(one)


def test_a_scenario_may_say_what_stands_in_place_of_findings() -> None:
    modes = ('AGE = "keep"', 'AGE = "generalize"')
    one, other = (
        parse_toml(f"{SMALLEST}[sites.text.replacement.by_type]\n{mode}\n", Scenario, origin="s.toml") for mode in modes
    )
    assert settings_digest(one) != settings_digest(other)
    assert parse_toml(render(one), Scenario, origin="again.toml") == one


def test_an_unknown_scenario_is_told_with_the_choices() -> None:
    with pytest.raises(SettingsError) as refused:
        scenarios.load("four-hospitals")
    assert "three-hospitals" in str(refused.value.next_step)
    with pytest.raises(SettingsError):
        scenarios.load("nowhere/my.toml")


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ('[corpus]\nknd = "notes"', "corpus.kind"),
        ('[corpus]\nkind = "tales"', "'notes' or 'by-field'"),
        ("[sites]\nepsilon_limit = -1.0", "sites.epsilon_limit"),
        ("[sites]\nthread = 2", "sites.threads"),
        ("seed = -1", "seed"),
        ('seed = "one"', "seed"),
        ('[[hospitals]]\nname = "Hospital A"\nstyle = "letter"\npatients = 20', "hospitals"),
        ('[[hospitals]]\nname = "a"\nstyle = "letter"\npatients = 2', "patients"),
        ("[federation.training]\nepochs = 3", "federation.training"),
        ("[federation.training]\nrounds = 0", "federation.training.rounds"),
    ],
)
def test_a_mistake_in_a_scenario_is_told_with_its_place(mistake: str, told: str) -> None:
    base = SMALLEST.replace('[corpus]\nkind = "notes"\n', "") if mistake.startswith("[corpus]") else SMALLEST
    text = mistake + base if mistake.startswith("seed") else base + mistake
    parse_toml(SMALLEST, Scenario, origin="small.toml")
    with pytest.raises(SettingsError) as refused:
        parse_toml(text, Scenario, origin="small.toml")
    assert told in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("run", 'run_id = "Run 1"'),
        ("run", "public_seed = 9223372036854775808"),
        ("network", "port = 0"),
        ("task", "max_tokens = 513"),
        ("training", 'scope = "all"'),
        ("training", "learning_rate = 0.0"),
        ("training", "learning_rate = nan"),
        ("training", "sample_rate = 1.01"),
        ("training", "sample_rate = 0"),
        ("training", "steps_per_round = 2.0"),
        ("training", "momentum = 1.0"),
        ("privacy", 'mode = "some"'),
        ("privacy", 'unit = "visit"'),
        ("privacy", "target_epsilon = 0.0"),
        ("privacy", "target_epsilon = inf"),
        ("privacy", "target_delta = 1.0"),
        ("privacy", "max_grad_norm = -1.0"),
        ("update", "clip_norm = 0.0"),
        ("update", "scale_log2 = 31"),
        ("update", 'weights = "votes"'),
        ("rounds", "min_sites = 0"),
        ("rounds", "deadline_seconds = 0.0"),
        ("rounds", 'evaluate = "yes"'),
        ("rounds", "min_site = 2"),
        ("round", "min_sites = 2"),
    ],
)
def test_a_federation_file_with_a_value_out_of_bounds_is_refused(section: str, line: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_toml(f"[{section}]\n{line}\n", FederationSettings, origin="federation.toml")
    assert section in str(refused.value)


def test_the_defaults_of_a_federation_are_sound_and_each_field_is_explained() -> None:
    defaults = FederationSettings()
    text = render(defaults)
    assert parse_toml(text, FederationSettings, origin="federation.toml") == defaults
    for section in FederationSettings.model_fields:
        model = getattr(defaults, section)
        assert all(field.description for field in type(model).model_fields.values())


def test_a_run_counts_its_evaluations_before_the_first_round_and_after_each() -> None:
    base = FederationSettings()
    assert base.evaluations == base.training.rounds + 1
    assert base.model_copy(update={"rounds": base.rounds.model_copy(update={"evaluate": False})}).evaluations == 0
    assert base.privacy_params(None) is None
    params = base.privacy_params("1.5")
    assert params is not None
    assert (params.noise_multiplier, params.unit, params.num_steps) == ("1.5", "patient", base.training.steps_per_round)
