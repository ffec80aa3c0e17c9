# SPDX-License-Identifier: Apache-2.0
"""Loading and running reach for no network, and the light parts load no heavy library: each in a fresh process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
from privacy.text.find import engines
from privacy.text.anonymize import Anonymizer
from privacy.text.reading.records import TextRow
from privacy.text.settings import TextSettings
settings = TextSettings()
text = "Dr. Quillfeather wrote to jo@mail.hosp.example.com, bob@ward.local, http://a.example.org and 10.1.2.3"
records, report = Anonymizer(engines.load(settings), settings).run([TextRow("1", text, None, None)])
assert not asked, "the network was asked"
assert "@" not in records[0].text and "example" not in records[0].text and "Quillfeather" not in records[0].text
"""

LIGHT = """
import sys
import privacy.text, privacy.text.anonymize, privacy.text.report, privacy.text.settings
import privacy.text.reading.records, privacy.text.replace.replacement, privacy.text.run.cache
import privacy.text.find.engines, privacy.text.find.recognizers.names
unwanted = ("torch", "spacy", "presidio_analyzer", "transformers", "phonenumbers")
heavy = [name for name in unwanted if name in sys.modules]
assert not heavy, heavy
"""


def _run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_anonymization_never_asks_the_network(tmp_path: Path) -> None:
    _run(BLOCKED.format(cache=str(tmp_path / "cold")))


def test_the_room_loads_no_heavy_library_before_an_engine_is_chosen() -> None:
    _run(LIGHT)
