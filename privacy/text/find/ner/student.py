# SPDX-License-Identifier: Apache-2.0
"""The built-in name model's student: some three times faster (docs/benchmarks.md).

Its recall was compared with the larger model's on development splits alone.
"""

from __future__ import annotations

from privacy.text.find.ner.builtin import BuiltIn, load
from privacy.text.settings import TextSettings


def build(settings: TextSettings) -> BuiltIn:
    """The student. Raises SettingsError or IntegrityError if its weights are not the packaged ones."""
    return load("student", settings)
