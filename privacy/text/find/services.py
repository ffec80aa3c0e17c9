# SPDX-License-Identifier: Apache-2.0
"""Names of engines and recognizers that send text to a service: such a part is never loaded, whatever it claims."""

from __future__ import annotations

import re

from privacy.base.errors import AnonymizationError

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


def refuse_services(name: str) -> None:
    """Raises AnonymizationError if `name` is that of an engine or recognizer which sends text to a service."""
    lowered = name.lower().replace("_", "")
    words = {word.lower() for word in _WORD.findall(name)}
    if any(part in lowered for part in SENDS_TEXT_AWAY) or words & SERVICE_WORDS:
        raise AnonymizationError(
            f"'{name}' sends text to a service: it is never used",
            next_step="choose an engine that works on this machine",
        )
