# SPDX-License-Identifier: Apache-2.0
"""A log of version 1, written before the self-check was in the log, is still read and still proves what it proved.

golden/log_v1.json holds the leaves, the key and the last checkpoint of the story in conftest.py, as the last code of
version 1 wrote it; nothing writes version 1 any more, so it is kept and not made again.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privacy.audit.blobs import BlobReader
from privacy.audit.entries import AuditEntry, RoundPlanned, UpdateReceived
from privacy.audit.merkle import leaf_hash
from privacy.audit.note import NoteKey
from privacy.audit.runs import check_run
from privacy.audit.stored import StoredLog, StoredRow, read_log
from privacy.audit.verify import verify_stored
from privacy.canonical import canonical_bytes
from privacy.errors import ContractError
from privacy.exchange.messages import parse

GOLDEN = Path(__file__).parent / "golden" / "log_v1.json"


@pytest.fixture(scope="module")
def old() -> StoredLog:
    golden: dict[str, Any] = json.loads(GOLDEN.read_text())
    leaves = [leaf.encode() for leaf in golden["leaves"]]
    rows = tuple(StoredRow(at, leaf, leaf_hash(leaf)) for at, leaf in enumerate(leaves))
    return StoredLog(NoteKey.parse(golden["vkey"]), rows, ((len(rows), golden["checkpoint"]),))


def test_a_log_of_version_1_still_verifies_to_its_last_signed_byte(old: StoredLog, tmp_path: Path) -> None:
    report = verify_stored(old, BlobReader(tmp_path), expected_key=old.log_key.key)
    assert (report.entries, report.findings) == (28, ())
    for row in old.rows:
        assert canonical_bytes(parse(AuditEntry, row.leaf)) == row.leaf


def test_version_1_says_nothing_of_a_self_check_and_version_2_always_does(old: StoredLog, pristine_log: Path) -> None:
    for stored, version in ((old, 1), (read_log(pristine_log), 2)):
        for row in stored.rows:
            entry = parse(AuditEntry, row.leaf)
            assert entry.version == version
            if isinstance(entry.body, RoundPlanned):
                assert (entry.body.plan.anonymization is None) == (version == 1)
            if isinstance(entry.body, UpdateReceived):
                assert (entry.body.update.self_check is None) == (version == 1)


@pytest.mark.parametrize("kind", ["round_planned", "update_received"])
def test_an_entry_that_says_more_or_less_than_its_version_is_refused(
    old: StoredLog, pristine_log: Path, kind: str
) -> None:
    one, two = b'"version":1}', b'"version":2}'
    for stored, said, other in ((old, one, two), (read_log(pristine_log), two, one)):
        leaf = next(row.leaf for row in stored.rows if f'"kind":"{kind}"'.encode() in row.leaf)
        assert leaf.endswith(said)
        with pytest.raises(ContractError, match="no AuditEntry"):
            parse(AuditEntry, leaf.removesuffix(said) + other)


def test_a_run_is_of_one_version(pristine_log: Path) -> None:
    """So that no plan of a run can slip back to a version without the self-check."""
    stored = read_log(pristine_log)
    rows = list(stored.rows)
    leaf = rows[-1].leaf.replace(b'"version":2', b'"version":1')
    rows[-1] = replace(rows[-1], leaf=leaf, leaf_hash=leaf_hash(leaf))
    check = check_run("spring", [parse(AuditEntry, row.leaf) for row in rows])
    assert [finding.message for finding in check.findings] == ["the run was opened in version 2 of the log"]


def test_an_unknown_version_is_refused(old: StoredLog) -> None:
    with pytest.raises(ContractError):
        parse(AuditEntry, old.rows[0].leaf.replace(b'"version":1', b'"version":3'))
