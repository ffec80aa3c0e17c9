# SPDX-License-Identifier: Apache-2.0
"""How a site anonymizes: engine, language, countries, its own formats and terms, and when to refuse.

Rules: unknown keys are refused; every field has a unit and a bound; a pattern that a site writes must be cheap to match
on any text (privacy.text.reading.site_patterns).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from privacy.text.reading.modes import ReplacementSettings, from_word
from privacy.text.reading.records import ENTITY_TYPES
from privacy.text.reading.site_patterns import SitePattern, SiteRecognizer

KEEP: Final = "KEEP"
"""What a model's label may be mapped to when its words stay."""


Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
SiteTerm = Annotated[str, Field(min_length=2, max_length=100)]


def _no_address(name: str) -> str:
    if "://" in name or name != name.strip() or not name.isprintable():
        raise ValueError("a model is a package, a hub name or a folder, never an address: text is sent nowhere")
    return name


def _known_type(name: str) -> str:
    if name not in ENTITY_TYPES and name != KEEP:
        raise ValueError(f"no such entity type: choose {KEEP} or one of {', '.join(sorted(ENTITY_TYPES))}")
    return name


ModelName = Annotated[str, Field(min_length=1, max_length=400), AfterValidator(_no_address)]
ModelLabel = Annotated[str, Field(min_length=1, max_length=60)]
MappedType = Annotated[str, AfterValidator(_known_type)]


class TextSettings(BaseModel):
    """The `[text]` table of a site's TOML. Read it through JSON (`model_validate_json`): arrays become tuples there."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    engine: str = Field(
        default="presidio",
        pattern=r"^[a-z][a-z0-9_]{0,31}$",
        description="Which engine finds identifiers: the name of a file in find/engines (1 to 32 characters).",
    )
    names: str = Field(
        default="builtin",
        pattern=r"^[a-z][a-z0-9_]{0,31}$",
        description="Which model finds names, places and organisations: the name of a file in find/ner (1 to "
        "32 characters).",
    )
    names_model: ModelName | None = Field(
        default=None,
        repr=False,
        description="Which model `names` uses: an installed package or a hub name, or a folder that starts with ./, ../"
        " or /, relative to this file (1 to 400 characters); no address of a service.",
    )
    names_labels: dict[ModelLabel, MappedType] = Field(
        default_factory=dict,
        max_length=200,
        description='The model\'s own labels to our entity types, such as SPITAL = "ORGANIZATION"; "KEEP" leaves such '
        "words alone; it goes before the table of common labels (0 to 200 labels of 1 to 60 characters).",
    )
    names_threshold: float = Field(
        default=0.5,
        ge=0.05,
        le=0.95,
        description="Probability from which a model's word is taken for a name (no unit, 0.05 to 0.95); models that "
        "give none, such as spaCy and stanza, ignore it. Lower masks more.",
    )
    allow_download: bool = Field(
        default=False,
        description="Whether a missing name model may be fetched from its hub when the engine is loaded; text is never "
        "sent. Without it nothing is fetched.",
    )
    language: str = Field(
        default="en",
        pattern=r"^[a-z]{2}$",
        description="Language of the text, ISO 639-1. Rules and lists are English ('en'); another language needs a "
        "model of names that was made for it.",
    )
    countries: tuple[Country, ...] = Field(
        default=("US",),
        min_length=1,
        max_length=8,
        description="Countries whose phone numbers and national identifiers occur, ISO 3166-1 alpha-2, 1 to 8 of them; "
        "each one costs time and false positives.",
    )
    score_threshold: float = Field(
        default=0.35,
        ge=0.0,
        le=0.5,
        description="Findings that score below it are dropped (no unit, 0 to 0.5). Lower masks more.",
    )
    replacement: Annotated[ReplacementSettings, BeforeValidator(from_word)] = Field(
        default_factory=ReplacementSettings,
        description="What stands where a finding stood: a default and a mode by type; a word alone is the default.",
    )
    mrn_pattern: SitePattern | None = Field(
        default=None,
        repr=False,
        description="Regular expression of the site's medical record numbers, masked with or without a label "
        "(3 to 200 characters, bounded repetition only); none: a label such as 'MRN' is needed below 7 digits.",
    )
    deny_list: tuple[SiteTerm, ...] = Field(
        default=(),
        max_length=50_000,
        repr=False,
        description="Terms always masked, such as names of staff and wards, in any letter case (0 to 50,000 terms of "
        "2 to 100 characters).",
    )
    allow_list: tuple[SiteTerm, ...] = Field(
        default=(),
        max_length=50_000,
        repr=False,
        description="Terms never masked as names of people, places, organisations or groups, such as "
        "drug brands, in any "
        "letter case; numbers and the deny list are not touched (0 to 50,000 terms of 2 to 100 characters).",
    )
    recognizers: tuple[SiteRecognizer, ...] = Field(
        default=(),
        max_length=32,
        repr=False,
        description="The site's own recognizers, a table [[text.recognizers]] each (0 to 32), of different names.",
    )
    quasi_identifiers: Literal["mask", "keep"] = Field(
        default="mask",
        description="What becomes of a person's nationality, religion and occupation (DEMOGRAPHIC) and "
        "of sums of money "
        "(MONEY), which Safe Harbor does not list but which help to tell who somebody is: 'mask' or 'keep'.",
    )
    max_characters: int = Field(
        default=50_000, ge=1, le=200_000, description="Characters in a row (1 to 200,000); a longer row is refused."
    )
    row_time_limit_seconds: int = Field(
        default=20,
        ge=1,
        le=50,
        description="Seconds that one row's analysis may take (1 to 50); a slower row is refused.",
    )
    max_refused_fraction: float = Field(
        default=0.01,
        ge=0.0,
        le=1.0,
        description="Share of rows that may be refused (0 to 1) before `check` and `anonymize` warn; a run leaves "
        "refused rows out, however many: that it ended would tell the coordinator of them.",
    )
    workers: int = Field(
        default=1, ge=1, le=64, description="Processes that analyze rows (1 to 64); 1 works in the calling process."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [recognizer.name for recognizer in self.recognizers]
        if len(set(names)) < len(names):
            raise ValueError("two of text.recognizers have the same name")
        return self

    def without_private_lists(self) -> TextSettings:
        """These settings without what the site wrote of its own terms and formats: the same engine for everybody.

        What such an engine finds in invented text says nothing about the site's data.
        """
        return self.model_copy(update={"mrn_pattern": None, "deny_list": (), "allow_list": (), "recognizers": ()})

    def beside(self, folder: Path) -> Self:
        """The same settings with the model's folder, if it is given as one, taken from `folder`: that of the TOML."""
        name = self.names_model
        if name is None or not name.startswith((".", "/")):
            return self
        return self.model_copy(update={"names_model": str((folder / name).resolve())})
