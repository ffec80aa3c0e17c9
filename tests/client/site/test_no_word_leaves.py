# SPDX-License-Identifier: Apache-2.0
"""When a site's files break under a run, no word of them is in what it sends, reports or says of a replay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.settings.site_settings import SiteFolder
from client.site.replay import Replay
from privacy.base.errors import CollabError

Clinic = Any
MakeClinic = Callable[..., Any]

SECRET = "zqvsecret"
ROW = json.dumps({"text": f"{SECRET}1 has a fever", "label": "ill", "patient_id": f"{SECRET}3"})
BROKEN = {
    "no JSON": f"{SECRET}1\n{{{SECRET}2: 1}}\n".encode(),
    "other keys": json.dumps({f"{SECRET}1": f"{SECRET}2"}).encode(),
    "strange cells": f'{ROW}\n{ROW[:-3]}\n[{ROW}]\n{{"text": [{ROW}]}}'.encode(),
    "bad bytes": b"\xff\xfe" + SECRET.encode() + b"\n" + ROW.encode() + b"\xff",
    "UTF-16": f"{ROW}\n".encode("utf-16"),
    "nothing": b"",
}


def break_file(clinic: Clinic, kind: str) -> None:
    clinic.folder.data_files[0].write_bytes(BROKEN[kind])


def kept(home: Path) -> bytes:
    """All that the site's folder holds but for the data itself."""
    files = [path for path in home.rglob("*") if path.is_file() and "data" not in path.relative_to(home).parts]
    return b"".join(path.read_bytes() for path in files)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_round_on_a_file_that_broke_sends_and_writes_no_word_of_it(
    make_clinic: MakeClinic, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    clinic = make_clinic()
    clinic.hello()
    break_file(clinic, kind)
    clinic.start()
    for reply in (clinic.ask(), clinic.count(1)):
        assert SECRET.encode() not in clinic.wire(reply)
    streams = capfd.readouterr()
    assert SECRET not in streams.out + streams.err + "".join(clinic.sentences())
    assert SECRET.encode() not in kept(clinic.folder.home)


@pytest.mark.parametrize("kind", ["no JSON", "strange cells", "nothing"])
def test_a_replay_on_a_file_that_broke_says_no_word_of_it(clinic: Clinic, kind: str) -> None:
    assert clinic.ask().envelope.kind == "site_update"
    break_file(clinic, kind)
    try:
        found = Replay(SiteFolder(clinic.folder.toml)).round("spring", 1, None)
        said = json.dumps(found.as_json()) + found.sentence + "".join(found.why)
        assert found.verdict != "same"
    except CollabError as error:
        said = str(error)
    assert SECRET not in said
