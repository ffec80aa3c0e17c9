# SPDX-License-Identifier: Apache-2.0
"""A scenario file: which invented or given texts become which sites, what they allow, and what they train together.

One number, the scenario's seed, drives everything that a real federation draws from the operating system. So a
simulation is the same from run to run, and its epsilon protects nobody: it is printed as simulated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from coordinator.settings import FederationSettings
from privacy.base.errors import SettingsError
from privacy.base.identifiers import SiteId
from privacy.commandline.settings_file import load_toml
from privacy.protocol.anonymization_check import Floor, Identifier
from privacy.text.settings import TextSettings

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)
SCENARIOS = Path(__file__).parent / "scenarios"


class HospitalSection(BaseModel):
    """One simulated hospital with invented notes."""

    model_config = STRICT
    name: SiteId = Field(description="the site's name")
    style: str = Field(description="how its notes are laid out: a style of simulations/corpora.py")
    patients: int = Field(ge=8, le=1_000_000, description="invented patients; each has 1 to 5 notes, 2.7 on average")


class ColumnsSection(BaseModel):
    """Columns of the given rows, as a site's [data] names them."""

    model_config = STRICT
    label: str = Field(default="label", description="the label; empty where the rows have none")
    patient: str | None = Field(default=None, description="the patient id")
    pair: str | None = Field(default=None, description="a second text")
    words: str | None = Field(default=None, description="the text as a list of words, in place of text")
    spans: str | None = Field(default=None, description="marked spans, or with words their IOB2 tags")
    unlabelled: Literal["refuse", "keep"] = Field(default="refuse", description="what happens to a row without a label")


class CorpusSection(BaseModel):
    """Where the texts come from."""

    model_config = STRICT
    kind: Literal["notes", "by-field"] = Field(description="notes: invented; by-field: jsonl rows given with --data")
    field: str = Field(default="client", description="by-field: the column that says which site a row belongs to")
    holdout: int = Field(default=240, ge=1, le=100_000, description="notes: texts of no site, to measure the model")
    minimum: int = Field(default=50, ge=1, description="by-field: rows that the smallest site must have")
    labels: Literal["rows", "plan"] = Field(
        default="rows", description="by-field: the task's labels are those of the rows, or as federation.task says"
    )
    columns: ColumnsSection = Field(
        default_factory=lambda: ColumnsSection(), description="by-field: what the rows hold beside id, text and label"
    )


class SitesSection(BaseModel):
    """What every simulated site sets."""

    model_config = STRICT
    text: TextSettings = Field(default_factory=TextSettings, description="how texts are anonymized")
    threads: int = Field(default=2, ge=1, le=256, description="CPU threads of a site; sites train one after another")
    epsilon_limit: float = Field(default=8.0, gt=0, le=1000, description="epsilon that a site's data may spend")
    dev_fraction: float = Field(default=0.15, ge=0, le=0.9, description="share of units kept for evaluation")
    max_grad_norm: float = Field(default=10.0, gt=0, description="largest gradient bound that a plan may set")
    min_recall: dict[Identifier, Floor] = Field(
        default_factory=dict, description="by identifier, what the site's anonymizer must find in invented notes"
    )
    allow_non_private: bool = Field(default=False, description="whether a run without noise is answered")


class Scenario(BaseModel):
    """All of a scenario file."""

    model_config = STRICT
    title: str = Field(min_length=1, max_length=200, description="one line for people")
    seed: int = Field(default=0, ge=0, lt=1 << 63, description="drives texts, keys, nonces, noise and cohort alike")
    corpus: CorpusSection = Field(description="where the texts come from")
    hospitals: tuple[HospitalSection, ...] = Field(default=(), description="notes: the hospitals")
    sites: SitesSection = Field(default_factory=SitesSection, description="what every simulated site sets")
    federation: FederationSettings = Field(description="what they train together; run.public_seed follows seed")


def names() -> list[str]:
    """The scenarios that come with collab."""
    return sorted(path.stem for path in SCENARIOS.glob("*.toml"))


def load(name: str) -> Scenario:
    """A scenario by its name, or by the path of a TOML file. Raises SettingsError with the choices."""
    path = Path(name) if name.endswith(".toml") else SCENARIOS / f"{name}.toml"
    if not path.exists():
        raise SettingsError(f"there is no scenario {name}", next_step=f"choose one of: {', '.join(names())}")
    return load_toml(path, Scenario)
