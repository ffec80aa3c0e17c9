# SPDX-License-Identifier: Apache-2.0
"""What finds identifiers in a text: one engine a file, found by the name of the file. The contract is `Engine`.

To add one, write `privacy/text/find/engines/<name>.py` with `build(settings) -> Engine`. It must work without a
network, never send or log text, and depend on nothing but its settings, its packaged lists or weights and its
libraries' versions, all of which its fingerprint covers. An engine that calls a service is refused by name, whatever
file claims to be it.
"""

from __future__ import annotations

from typing import Protocol

from privacy.base import parts
from privacy.base.identifiers import Digest
from privacy.text.find.services import refuse_services
from privacy.text.reading.records import Finding
from privacy.text.settings import TextSettings


class Engine(Protocol):
    """Finds identifiers. `fingerprint` changes with anything that may change a finding."""

    fingerprint: Digest

    def analyze(self, text: str) -> list[Finding]:
        """Every finding in `text`, in its offsets, sorted; may overlap. The same text gives the same findings.

        Raises whatever goes wrong: the caller then drops the row. Nothing of the text may be in a log or in the
        findings.
        """
        ...


def load(settings: TextSettings) -> Engine:
    """The engine that `settings.engine` names.

    Raises AnonymizationError if it would send text to a service, SettingsError if there is no such file.
    """
    refuse_services(settings.engine)
    engine: Engine = parts.load("privacy.text.find.engines", settings.engine).build(settings)
    return engine
