# SPDX-License-Identifier: Apache-2.0
"""What finds identifiers in a text: one engine a file, found by the name of the file. The contract is `Engine`.

To add one, write `privacy/text/find/engines/<name>.py` with `build(settings) -> Engine`. It must work without a
network, never send or log text, and depend on nothing but its settings, its packaged lists or weights and its
libraries' versions, all of which its fingerprint covers. An engine that calls a service is refused by name, whatever
file claims to be it.
"""

from __future__ import annotations

import re
from typing import Protocol

from privacy.base import parts
from privacy.base.errors import AnonymizationError
from privacy.base.identifiers import Digest
from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings

SENDS_TEXT_AWAY = (
    "ahds",
    "anthropic",
    "aws",
    "azure",
    "bedrock",
    "claude",
    "cohere",
    "comprehend",
    "gcp",
    "gemini",
    "google",
    "http",
    "langextract",
    "llm",
    "openai",
    "remote",
    "vertexai",
    "webservice",
)
"""Parts of the names of engines and recognizers that send text to a service: never loaded."""

SERVICE_WORDS = frozenset({"api", "client", "cloud", "grpc", "rest", "web"})
"""The same for words too short to be looked for inside of others ("api" is in "capital")."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class Engine(Protocol):
    """Finds identifiers. `fingerprint` changes with anything that may change a finding."""

    fingerprint: Digest

    def analyze(self, text: str) -> list[Finding]:
        """Every finding in `text`, in its offsets, sorted; may overlap. The same text gives the same findings.

        Raises whatever goes wrong: the caller then drops the row. Nothing of the text may be in a log or in the
        findings.
        """
        ...


def refuse_services(name: str) -> None:
    """Raises AnonymizationError if `name` is that of an engine or recognizer which sends text to a service."""
    lowered = name.lower().replace("_", "")
    words = {word.lower() for word in _WORD.findall(name)}
    if any(part in lowered for part in SENDS_TEXT_AWAY) or words & SERVICE_WORDS:
        raise AnonymizationError(
            f"'{name}' sends text to a service: it is never used",
            next_step="choose an engine that works on this machine",
        )


def load(settings: TextSettings) -> Engine:
    """The engine that `settings.engine` names.

    Raises AnonymizationError if it would send text to a service, SettingsError if there is no such file.
    """
    refuse_services(settings.engine)
    engine: Engine = parts.load("privacy.text.find.engines", settings.engine).build(settings)
    return engine
