# SPDX-License-Identifier: Apache-2.0
"""Logs of versions 1 to 3 are still read and still prove what they proved.

golden/log_v1.json was written before the self-check of anonymization was in the log, golden/log_v2.json before the
mechanism check was, golden/log_v3.json before a run had an outline and an envelope a recipient: leaves, key and last
checkpoint of the story in conftest.py, by the last code of each version. Nothing writes these versions any more, so the
files are kept and not made again. golden/log_v4.json was written before the law of a run moved into one file a kind.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privacy.audit import facts
from privacy.audit.blobs import BlobReader
from privacy.audit.report import chosen
from privacy.audit.runs import check_run
from privacy.audit.stored import StoredLog, StoredRow, read_log
from privacy.audit.verification import verify_stored
from privacy.base.canonical import canonical_bytes
from privacy.base.errors import ContractError
from privacy.log.merkle import leaf_hash
from privacy.log.note import NoteKey
from privacy.protocol.entries import (
    AuditEntry,
    MetricsReceived,
    ReplyRefused,
    RoundPlanned,
    RunOpened,
    UpdateReceived,
)
from privacy.protocol.messages import parse

GOLDEN = Path(__file__).parent / "golden"
OLD, NEWEST = (1, 2, 3), 4


KINDS_OF_VERSION_4 = (
    "run_opened",
    "site_ready",
    "update_received",
    "reply_refused",
    "evaluation_planned",
    "metrics_received",
)


def stored_version(version: int) -> StoredLog:
    golden: dict[str, Any] = json.loads((GOLDEN / f"log_v{version}.json").read_text())
    leaves = [leaf.encode() for leaf in golden["leaves"]]
    rows = tuple(StoredRow(at, leaf, leaf_hash(leaf)) for at, leaf in enumerate(leaves))
    return StoredLog(NoteKey.parse(golden["vkey"]), rows, ((len(rows), golden["checkpoint"]),))


@pytest.fixture(scope="module")
def logs(pristine_log: Path) -> dict[int, StoredLog]:
    return {version: stored_version(version) for version in OLD} | {NEWEST: read_log(pristine_log)}


@pytest.mark.parametrize("version", OLD)
def test_an_old_log_still_verifies_to_its_last_signed_byte(
    logs: dict[int, StoredLog], tmp_path: Path, version: int
) -> None:
    old = logs[version]
    report = verify_stored(old, BlobReader(tmp_path), expected_key=old.log_key.key)
    assert (report.entries, report.findings) == (28, ())
    for row in old.rows:
        assert canonical_bytes(parse(AuditEntry, row.leaf)) == row.leaf


def test_the_newest_version_is_written_as_it_was_before_to_the_last_signed_byte(logs: dict[int, StoredLog]) -> None:
    """Keys, times and nonces of the story are fixed: a byte that differs is a new format, which takes a new version."""
    golden, written = stored_version(NEWEST), logs[NEWEST]
    assert written.rows == golden.rows
    assert written.checkpoints[-1] == golden.checkpoints[-1]


def test_each_version_says_what_it_says_in_every_plan_and_update(logs: dict[int, StoredLog]) -> None:
    for version, stored in logs.items():
        for row in stored.rows:
            entry = parse(AuditEntry, row.leaf)
            assert entry.version == version
            if isinstance(entry.body, RoundPlanned):
                assert (entry.body.plan.anonymization is None) == (version == 1)
            if isinstance(entry.body, UpdateReceived):
                assert (entry.body.update.self_check is None) == (version == 1)
                assert (entry.body.update.mechanism_check is None) == (version < 3)
            if hasattr(entry.body, "envelope"):
                assert entry.body.envelope.bound == (version >= 4)
            if isinstance(entry.body, RunOpened):
                assert (entry.body.outline is not None) == (version >= 4)
            if isinstance(entry.body, ReplyRefused):
                assert (entry.body.refusal is not None) == (version >= 4)
            if isinstance(entry.body, MetricsReceived):
                assert (entry.body.metrics.correct is not None) == (version >= 4)


@pytest.mark.parametrize(
    ("kind", "version", "other"),
    [
        ("round_planned", 1, 2),
        ("update_received", 1, 2),
        ("round_planned", 2, 1),
        ("update_received", 2, 1),
        ("update_received", 3, 2),
        ("update_received", 3, 1),
        *((kind, 3, 4) for kind in KINDS_OF_VERSION_4),
        *((kind, 4, 3) for kind in KINDS_OF_VERSION_4),
    ],
)
def test_an_entry_that_says_more_or_less_than_its_version_is_refused(
    logs: dict[int, StoredLog], kind: str, version: int, other: int
) -> None:
    said = f'"version":{version}}}'.encode()
    leaf = next(row.leaf for row in logs[version].rows if f'"kind":"{kind}"'.encode() in row.leaf)
    assert leaf.endswith(said)
    with pytest.raises(ContractError, match="no AuditEntry"):
        parse(AuditEntry, leaf.removesuffix(said) + f'"version":{other}}}'.encode())


@pytest.mark.parametrize("version", OLD)
def test_a_run_is_of_one_version(logs: dict[int, StoredLog], version: int) -> None:
    """So that no plan of a run can slip back to a version without the checks."""
    rows = list(logs[NEWEST].rows)
    leaf = rows[-1].leaf.replace(b'"version":4', f'"version":{version}'.encode())
    rows[-1] = replace(rows[-1], leaf=leaf, leaf_hash=leaf_hash(leaf))
    check = check_run("spring", [parse(AuditEntry, row.leaf) for row in rows])
    assert [finding.message for finding in check.findings] == ["the run was opened in version 4 of the log"]


def test_an_unknown_version_is_refused(logs: dict[int, StoredLog]) -> None:
    with pytest.raises(ContractError):
        parse(AuditEntry, logs[1].rows[0].leaf.replace(b'"version":1', b'"version":5'))


def test_a_reader_sees_what_each_site_tested(pristine_log: Path) -> None:
    (run,) = chosen(pristine_log)
    assert set(run.self_checks.mechanism) == {"alder", "birch"}
    told = facts.of_mechanism_check(run.self_checks.mechanism["alder"])
    assert told["sigma"] == "1.1 x 1 within 0.001"
    assert "noise_streams" in told["passed"]
