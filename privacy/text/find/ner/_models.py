# SPDX-License-Identifier: Apache-2.0
"""What every model of names needs: its folder found without a download, its labels in our types, its digest.

Rules: a missing library or model is a SettingsError that says what to do; an error shows the last part of a path only;
a label that nobody maps is refused, since we cannot know whether its words are private.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from privacy.base.canonical import decimal_string, digest_of
from privacy.base.errors import SettingsError
from privacy.base.identifiers import Digest, sha256_file
from privacy.text.settings import KEEP, TextSettings

LEAST_SCORE: Final = 0.5
"""Score of the weakest finding of a model: `names_threshold` has decided already, `score_threshold` must not again."""

_COMMON: Final = {
    "PERSON": "PER PERS PERSON NAME PATIENT DOCTOR STAFF HCW USERNAME FIRST_NAME LAST_NAME",
    "LOCATION": "LOC LOCATION LOCATION_OTHER GPE FAC FACILITY ADDRESS STREET STREET_ADDRESS CITY STATE "
    "COUNTRY COUNTY ZIP ZIPCODE POSTCODE",
    "ORGANIZATION": "ORG ORGANISATION ORGANIZATION HOSPITAL HOSP VENDOR PATORG COMPANY CORPORATION GROUP",
    "DATE_TIME": "DATE TIME DATE_TIME DOB DATE_OF_BIRTH",
    "AGE": "AGE",
    "DEMOGRAPHIC": "NORP NRP PROFESSION RELIGION ETHNICITY NATIONALITY",
    "ID_NUMBER": "ID IDNUM ID_NUMBER BIOID",
    "MEDICAL_RECORD_NUMBER": "MEDICALRECORD MEDICAL_RECORD MRN",
    "HEALTH_PLAN_ID": "HEALTHPLAN HEALTH_PLAN",
    "DEVICE_ID": "DEVICE",
    "ACCOUNT_NUMBER": "ACCOUNT",
    "LICENSE_NUMBER": "LICENSE",
    "VEHICLE_ID": "VEHICLE",
    "PHONE_NUMBER": "PHONE FAX PHONE_NUMBER",
    "EMAIL_ADDRESS": "EMAIL EMAIL_ADDRESS",
    "URL": "URL",
    "IP_ADDRESS": "IP IPADDR IP_ADDRESS",
    "US_SSN": "SSN",
    KEEP: "O CARDINAL ORDINAL QUANTITY PERCENT MONEY PRODUCT EVENT LAW LANGUAGE WORK_OF_ART MISC CREATIVE_WORK",
}
_BY_LABEL: Final = {label: entity_type for entity_type, labels in _COMMON.items() for label in labels.split()}


def map_labels(labels: Iterable[str], settings: TextSettings) -> dict[str, str]:
    """Label of the model to entity type, for each of `labels` whose words are private; the others' words stay.

    The site's `names_labels` goes before the table. Raises SettingsError for a label in neither, and for one in
    `names_labels` that the model does not have.
    """
    given = {label: _plain(label) for label in labels}
    table = _BY_LABEL | _own_labels(given, settings)
    mapped = {label: table.get(plain) for label, plain in given.items()}
    if unknown := sorted(label for label, entity_type in mapped.items() if entity_type is None):
        raise SettingsError(
            f"nobody says what the model's labels mean: {', '.join(unknown)}",
            next_step=f'map each under [text.names_labels], such as {unknown[0]} = "PERSON", or "{KEEP}" where its '
            "words may stay",
        )
    return {label: entity_type for label, entity_type in mapped.items() if entity_type not in (None, KEEP)}  # type: ignore[misc]


def _own_labels(given: Mapping[str, str], settings: TextSettings) -> dict[str, str]:
    """The site's `names_labels`, in plain form. Raises SettingsError for one that no plain label of `given` is."""
    own = {_plain(label): entity_type for label, entity_type in settings.names_labels.items()}
    if absent := sorted(set(own) - set(given.values())):
        raise SettingsError(
            f"text.names_labels maps {', '.join(absent)}, which the model of text.names_model does not have",
            next_step=f"its labels are: {', '.join(sorted(given)) or 'none'}",
        )
    return own


def _plain(label: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", label.upper()).strip("_")


def model_name(settings: TextSettings) -> str:
    """`names_model`. Raises SettingsError where there is none."""
    if settings.names_model is None:
        raise SettingsError(
            f"text.names = '{settings.names}' needs a model", next_step="name it, or its folder, in text.names_model"
        )
    return settings.names_model


def shown(name: str) -> str:
    """How an error may call a model: without the folders that lead to it."""
    return Path(name).name if name.startswith("/") else name


def library(name: str, extra: str) -> ModuleType:
    """The library `name`. Raises SettingsError where it is not installed; `extra` is what to install."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise SettingsError(
            f"text.names = '{name}' needs the library {name}, which cannot be imported here",
            next_step=f"install it into this environment: {extra}",
        ) from None


def is_folder(name: str) -> bool:
    """Whether `names_model` is the path of a folder (TextSettings.beside made it absolute)."""
    return name.startswith((".", "/"))


def existing(name: str) -> Path:
    """The model's folder. Raises SettingsError where it is missing."""
    folder = Path(name)
    if not folder.is_dir():
        raise SettingsError(
            f"text.names_model: there is no folder {shown(name)}",
            next_step="put the model there; a relative path starts at the TOML",
        )
    return folder


def hub_folder(settings: TextSettings, patterns: Sequence[str]) -> Path:
    """The model's folder: a local one, or that of a hub name in the local cache.

    Only with `allow_download` is it fetched, and then only files that match `patterns`. Raises SettingsError.
    """
    name = model_name(settings)
    if is_folder(name):
        close_hub()
        return existing(name)
    hub = library("huggingface_hub", "it is a dependency of collab")
    hub.constants.HF_HUB_OFFLINE = not settings.allow_download
    try:
        return Path(
            hub.snapshot_download(name, allow_patterns=list(patterns), local_files_only=not settings.allow_download)
        )
    except (hub.errors.HfHubHTTPError, hub.errors.HFValidationError, OSError, ValueError):
        # `from None`: the library's text holds addresses and paths
        raise SettingsError(
            f"text.names_model: '{name}' is not on this machine"
            + (", and its hub did not give it" if settings.allow_download else ""),
            next_step="fetch the model elsewhere and give its folder (./models/...), or set text.allow_download = true "
            "for one start",
        ) from None
    finally:
        close_hub()


def close_hub() -> None:
    """The library's own switches too: whatever asks the hub behind our back finds it closed, in children as well.

    Called before a model is read, downloads allowed or not: reading one must not fetch more, and code least of all.
    """
    hub = library("huggingface_hub", "it is a dependency of collab")
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    hub.constants.HF_HUB_OFFLINE = hub.constants.HF_HUB_DISABLE_TELEMETRY = True


def refuse_code(folder: Path) -> None:
    """Raises SettingsError if the model could run code: no safetensors, or code of its own (`auto_map`, .py files).

    Some libraries trust a model's code whatever we ask them, so we look first.
    """
    if not any(folder.glob("*.safetensors")):
        raise SettingsError(
            f"text.names_model: {folder.name} holds no .safetensors file",
            next_step="convert the weights; pickled ones are not read, since they may run code",
        )
    if any(folder.rglob("*.py")) or any(b'"auto_map"' in file.read_bytes() for file in folder.rglob("*config.json")):
        raise SettingsError(
            f"text.names_model: {folder.name} brings code of its own", next_step="choose a model that needs none"
        )


def broken(folder: Path) -> SettingsError:
    """What to raise, from None, when a library cannot read the model: its own text holds paths."""
    return SettingsError(
        f"text.names_model: {folder.name} cannot be read as a model for this text.names",
        next_step="check that it is whole, of the right kind, and needs no code of its own",
    )


def fingerprint(settings: TextSettings, folder: Path, libraries: Sequence[str], code: str) -> Digest:
    """Over all that may change a finding: every file of the model, settings, our code at `code`, versions."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return digest_of(
        {
            "names": settings.names,
            "threshold": decimal_string(settings.names_threshold),
            "labels": sorted([label, entity_type] for label, entity_type in settings.names_labels.items()),
            "language": settings.language,
            "model": [[str(file.relative_to(folder)), sha256_file(file)] for file in files],
            "code": [sha256_file(Path(file)) for file in (code, __file__)],
            "libraries": [[name, importlib.metadata.version(name)] for name in libraries],
        }
    )
