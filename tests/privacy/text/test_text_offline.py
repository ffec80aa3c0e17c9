# SPDX-License-Identifier: Apache-2.0
"""Loading and running reach for no network, and the light parts load no heavy library: each in a fresh process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from privacy import text
from privacy.text.find import engines
from privacy.text.find.engines import Engine

BLOCKED = """
import socket, os
os.environ["TLDEXTRACT_CACHE"] = {cache!r}
asked = []
def refuse(*arguments, **named):
    asked.append(arguments)
    raise OSError("the network is blocked")
socket.getaddrinfo = refuse
socket.create_connection = refuse
socket.socket.connect = refuse
socket.socket.connect_ex = refuse
from privacy.text import Anonymizer, TextRow
text = "Dr. Quillfeather wrote to jo@mail.hosp.example.com, bob@ward.local, http://a.example.org and 10.1.2.3"
records, report = Anonymizer.load().run([TextRow("1", text)])
assert not asked, "the network was asked"
assert "@" not in records[0].text and "example" not in records[0].text and "Quillfeather" not in records[0].text
"""

LIGHT = """
import sys
import privacy.text
assert not [name for name in sys.modules if name.startswith("privacy.text.")]
from privacy.text import *
import privacy.text.anonymize, privacy.text.report, privacy.text.settings
import privacy.text.reading.records, privacy.text.replace.replacement, privacy.text.run.cache
import privacy.text.find.engines, privacy.text.find.recognizers.names
unwanted = ("torch", "spacy", "presidio_analyzer", "transformers", "phonenumbers")
heavy = [name for name in unwanted if name in sys.modules]
assert not heavy, heavy
"""


def _run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_anonymization_never_asks_the_network(tmp_path: Path) -> None:
    _run(BLOCKED.format(cache=str(tmp_path / "cold")))


def test_the_face_of_the_room_anonymizes_in_two_lines(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "load", lambda settings: engine)
    records, report = text.Anonymizer.load().run([text.TextRow("note-1", "Dr. Quenby Zorblatt came.")])
    assert [record.text for record in records] == ["Dr. <PERSON> came."]
    assert isinstance(report, text.AnonymizationReport)
    with pytest.raises(AttributeError, match="privacy"):
        text.anonymiser  # noqa: B018


def test_the_room_loads_no_heavy_library_before_an_engine_is_chosen() -> None:
    _run(LIGHT)
