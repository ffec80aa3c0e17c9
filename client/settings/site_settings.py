# SPDX-License-Identifier: Apache-2.0
"""A site's settings, `sites/<name>.toml`, and its home, the folder `sites/<name>/` beside it.

The policy is the site's own word: what it lets a plan ask for. Nothing that a coordinator sends changes it. Relative
paths are relative to the TOML file. Whether a site is simulated is not a setting but a marker file in its home.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from client.settings.policy import PolicySection
from privacy.base.errors import SettingsError
from privacy.base.identifiers import Digest, Role, SiteId
from privacy.commandline.settings_file import load_toml, settings_digest
from privacy.text.settings import TextSettings

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)

Format = Literal["auto", "csv", "jsonl", "json", "parquet", "datasets", "xlsx", "txt"]
Encoding = Literal["auto", "utf-8", "utf-8-sig", "cp1252", "latin-1", "gb18030", "utf-16"]

SIMULATED_MARKER: Final = "SIMULATED"


def missing_file(name: str) -> SettingsError:
    """What is said of a file that is named under data.files and is not there."""
    return SettingsError(
        f"data.files: there is no {name}", next_step="check the name; a relative path starts at the TOML"
    )


class SiteSection(BaseModel):
    """Who the site is."""

    model_config = STRICT
    name: SiteId = Field(description="the site's name, that of this file: lower-case letters, digits, _; at most 32")
    role: Role = Field(
        "trainer", description="trainer: trains on its own data; evaluator: only measures, on public test data"
    )


class DataSection(BaseModel):
    """Where the texts lie and which columns hold what."""

    model_config = STRICT
    GONE: ClassVar[Mapping[str, str]] = {
        "unknown_label": "take the line out. A label that a plan lacks always costs its row now, and the site alone is "
        "told (collab-client check --task): a refused round told the coordinator that such a row is here"
    }
    files: tuple[Path, ...] = Field(
        min_length=1, description="files or folders, at least 1, read in this order; relative to this file"
    )
    format: Format = Field(
        "auto",
        description="auto: by the file's suffix (.gz behind it is unpacked), a folder is a saved Hugging Face dataset "
        "or holds notes as .txt files; or one for all files",
    )
    encoding: Encoding = Field(
        "auto",
        description="of csv, jsonl, json and txt; auto: what a byte order mark says, else utf-8, and a row that is not "
        "utf-8 is refused; cp1252 is what Windows writes in western Europe and America",
    )
    delimiter: str = Field(
        "auto",
        description="what stands between the columns of a csv file; auto: of comma, semicolon, tab and pipe the one "
        "that finds the columns named here in the first line; or one character",
    )
    dataset: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$",
        description="declared name of this data, 1 to 64 of a-z 0-9 _ . -; the privacy ledger is keyed by it: the same "
        "people under a new name would be charged anew, so never rename it",
    )
    text_column: str = Field("text", min_length=1, description="column with the text")
    label_column: str = Field(
        "label", description="column with the label, a list of labels, or a number; empty where there is none"
    )
    label_separator: str | None = Field(
        None,
        min_length=1,
        max_length=8,
        description="what stands between the labels of a cell that holds several, such as ';' (task multi_label)",
    )
    unlabelled: Literal["refuse", "keep"] = Field(
        "refuse", description="what happens to a row without a label; keep it for masked-language modelling"
    )
    pair_column: str | None = Field(
        None, min_length=1, description="column with a second text (a question, the other sentence); anonymized as well"
    )
    words_column: str | None = Field(
        None, min_length=1, description="column with the text as a list of words, in place of text_column"
    )
    spans_column: str | None = Field(
        None,
        min_length=1,
        description="column with marked spans: a list of [start, end, label] in characters of the text, or with "
        "words_column a list of IOB2 tags, one a word",
    )
    patient_column: str | None = Field(
        None, min_length=1, description="column with the patient id; needed when policy.unit is patient"
    )
    record_column: str | None = Field(
        None, min_length=1, description="column with the record id; without it, a keyed hash of the row's content"
    )
    known_name_columns: tuple[str, ...] = Field(
        (),
        max_length=16,
        description="columns with names that the row's text may hold, such as first_name, last_name, next_of_kin; each "
        "row's are masked in that row's text alone; 0 to 16 columns",
    )
    min_characters: int = Field(
        1, ge=1, le=1_000_000, description="characters; a shorter text is refused as empty; 1 to 1000000"
    )
    max_characters: int = Field(
        20_000, ge=1, le=10_000_000, description="characters; a longer text is over-long; 1 to 10000000"
    )
    over_long: Literal["cut", "refuse"] = Field("cut", description="what happens to an over-long text")
    contradictory: Literal["refuse", "keep"] = Field(
        "refuse",
        description="what happens to rows of one patient with the same text under different labels (unit patient)",
    )
    near_duplicate_similarity: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Jaccard similarity of 5-word shingles from which two notes of one patient with one label are the "
        "same (unit patient); above 0, at most 1",
    )
    test_fraction: float = Field(0.1, ge=0, le=1, description="share of units kept for test; 0 to 1")
    dev_fraction: float = Field(0.1, ge=0, le=1, description="share of units kept for dev; 0 to 1")

    @field_validator("delimiter")
    @classmethod
    def _is_one_character(cls, delimiter: str) -> str:
        if delimiter != "auto" and (len(delimiter) != 1 or delimiter.isalnum() or delimiter in '"\r\n\0'):
            raise ValueError("must be auto or one character: no letter, digit, quote or line end")
        return delimiter

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.test_fraction + self.dev_fraction > 1:
            raise ValueError("test_fraction and dev_fraction must not exceed 1 together")
        if not self.label_column and self.unlabelled == "refuse" and self.spans_column is None:
            raise ValueError("without label_column and spans_column no row is labelled: set data.unlabelled to keep")
        if self.max_characters < self.min_characters:
            raise ValueError("max_characters must not be below min_characters")
        return self


class ModelSection(BaseModel):
    """Which pretrained models a plan may name."""

    model_config = STRICT
    paths: dict[Digest, Path] = Field(
        default_factory=dict,
        description="pretrained digest (64 hex digits) to local folder, relative to this file; the packaged "
        "all-MiniLM-L6-v2 is always known",
    )


class ComputeSection(BaseModel):
    """What the site computes on."""

    model_config = STRICT
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto: cuda, else mps, else cpu")
    threads: int = Field(
        1, ge=1, le=256, description="CPU threads, 1 to 256; another number gives another model in the last bits"
    )


class ReplaySection(BaseModel):
    """What is kept so that the site's auditor can train a round again (`collab-client replay`)."""

    model_config = STRICT
    models_kept: int = Field(
        4,
        ge=0,
        le=100_000,
        description="input models of the newest rounds that are kept, each as large as an update; an older one goes "
        "into `replay` as --model; 0 to 100000",
    )


class SiteSettings(BaseModel):
    """All of a site's settings."""

    model_config = STRICT
    site: SiteSection = Field(description="who the site is")
    data: DataSection = Field(description="where the texts lie; they never leave this machine")
    text: TextSettings = Field(default_factory=TextSettings, description="how texts are anonymized before any use")
    model: ModelSection = Field(default_factory=ModelSection, description="which pretrained models are here")
    compute: ComputeSection = Field(default_factory=ComputeSection, description="what the site computes on")
    replay: ReplaySection = Field(default_factory=ReplaySection, description="what is kept to train a round again")
    policy: PolicySection = Field(description="what the site allows, whatever a plan asks")

    @model_validator(mode="after")
    def _patients_are_known(self) -> Self:
        if self.policy.unit == "patient" and self.data.patient_column is None:
            raise ValueError("policy.unit is patient: data.patient_column must name the column with the patient id")
        return self

    @property
    def policy_digest(self) -> Digest:
        """What the site declares of its policy: a digest. Equal policies have equal digests."""
        return settings_digest(self.policy)


class SiteFolder:
    """A site on disk: its TOML file and its home, the folder of the same name beside it.

    `home` holds keys/ (0700), ledger.sqlite, state.sqlite, spans.sqlite, reports/ and kit.json; `create` makes the
    folders. Raises SettingsError if the TOML is wrong or names another site than its file does.
    """

    def __init__(self, toml: Path) -> None:
        self.toml = toml.resolve()
        settings = load_toml(self.toml, SiteSettings)
        self.settings = settings.model_copy(update={"text": settings.text.beside(self.toml.parent)})
        name = self.settings.site.name
        if self.toml.stem != name:
            raise SettingsError(
                f"{self.toml.name} says site.name is {name}",
                next_step=f"call the file {name}.toml: a site's ledger and keys lie in the folder of its name",
            )

    @property
    def name(self) -> str:
        return self.settings.site.name

    @property
    def home(self) -> Path:
        return self.toml.parent / self.name

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def ledger(self) -> Path:
        return self.home / "ledger.sqlite"

    @property
    def state(self) -> Path:
        return self.home / "state.sqlite"

    @property
    def spans(self) -> Path:
        return self.home / "spans.sqlite"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def released(self) -> Path:
        """What the site's people release by hand: made by their commands, sent by nobody but them."""
        return self.home / "released"

    @property
    def kit(self) -> Path:
        return self.home / "kit.json"

    @property
    def certificate(self) -> Path:
        """The newest client certificate that came over the connection; the kit's is the first."""
        return self.home / "certificate.pem"

    @property
    def simulated_marker(self) -> Path:
        return self.home / SIMULATED_MARKER

    @property
    def simulated(self) -> bool:
        """True where the site's keys follow a known seed, so that its epsilon protects nobody."""
        return self.simulated_marker.exists()

    def check_files(self) -> None:
        """Raises SettingsError if one of the data's files is not there: said before anything heavy is loaded."""
        for path in self.data_files:
            if not path.exists():
                raise missing_file(path.name)

    @cached_property
    def data_files(self) -> tuple[Path, ...]:
        """The data's files and folders, in order, as absolute paths."""
        return tuple(self.resolve(path) for path in self.settings.data.files)

    @cached_property
    def model_folders(self) -> dict[Digest, Path]:
        """Pretrained digest to folder, as absolute paths, without the packaged model."""
        return {digest: self.resolve(path) for digest, path in self.settings.model.paths.items()}

    def resolve(self, path: Path) -> Path:
        """`path` as the TOML means it: relative to the TOML's folder."""
        return path if path.is_absolute() else self.toml.parent / path

    def create(self) -> None:
        """Make the home and its folders, readable by their owner alone. Existing ones stay, and become private."""
        for folder in (self.home, self.keys, self.reports):
            folder.mkdir(mode=0o700, parents=folder == self.home, exist_ok=True)
            folder.chmod(0o700)
