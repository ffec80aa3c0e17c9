# SPDX-License-Identifier: Apache-2.0
"""What a site checks of every delivery: signature, inclusion, and that the log only grew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from privacy.base.canonical import canonical_bytes
from privacy.base.errors import IntegrityError, LogForked
from privacy.log.keys import SigningKey
from privacy.log.merkle import Tree
from privacy.log.note import NoteKey, sign_note
from privacy.protocol.checkpoint import Checkpoint, check_proof, open_checkpoint
from privacy.protocol.delivery import LogProof
from privacy.protocol.entries import AuditEntry, RunClosed

KEY = SigningKey(b"\x05" * 32)
ORIGIN = "collab/test-federation"
LOG = NoteKey(ORIGIN, KEY.verify_key())


def entry(index: int, run: str = "run") -> AuditEntry:
    closed = RunClosed(outcome="done", rounds_aggregated=1, final_model="a" * 64)
    return AuditEntry(index=index, run_id=run, server_round=0, recorded_at=0, body=closed)


def grown(size: int, rewritten: int = -1) -> Tree:
    tree = Tree()
    for index in range(size):
        tree.append(canonical_bytes(entry(index, "other" if index == rewritten else "run")))
    return tree


def checkpoint(tree: Tree, size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, tree.root(size).hex())


def proof(tree: Tree, index: int, from_size: int) -> LogProof:
    return LogProof(
        checkpoint=checkpoint(tree, tree.size).sign(KEY),
        inclusion_proof=tuple(value.hex() for value in tree.inclusion_proof(index, tree.size)),
        from_size=from_size,
        consistency_proof=tuple(value.hex() for value in tree.consistency_proof(from_size, tree.size)),
    )


def test_a_checkpoint_comes_back_from_its_note() -> None:
    signed = checkpoint(grown(9), 9)
    assert open_checkpoint(signed.sign(KEY), LOG) == signed
    assert Checkpoint.parse(signed.text()) == signed


def test_the_example_of_the_specification_parses() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    parsed = Checkpoint.parse(text)
    assert (parsed.origin, parsed.size) == ("example.com/behind-the-sofa", 20852163)
    assert parsed.text() == text


ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="


@pytest.mark.parametrize(
    "text",
    [
        f"\n1\n{ROOT}\n",
        f"o\n01\n{ROOT}\n",
        f"o\n-1\n{ROOT}\n",
        f"o\n١\n{ROOT}\n",
        f"o\n1\n{ROOT[:-1]}\n",
        f"o\n1\n{ROOT}",
        f"o\n1\n{ROOT}\n\n",
        f"o\n1\n{ROOT}\nextension\n",
        "o\n1\nAAAA\n",
        "o\n1\n",
        f"o\n{'9' * 40}\n{ROOT}\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError):
        Checkpoint.parse(text)


def test_a_checkpoint_of_another_log_is_refused_even_under_our_key() -> None:
    note = sign_note(replace(checkpoint(grown(2), 2), origin="collab/other").text(), ORIGIN, KEY)
    with pytest.raises(IntegrityError):
        open_checkpoint(note, LOG)


def test_a_site_follows_a_log_that_grows() -> None:
    seen = None
    for size in range(1, 40):
        tree = grown(size)
        seen = check_proof(entry(size - 1), proof(tree, size - 1, seen.size if seen else 0), LOG, seen)
        assert seen == checkpoint(tree, size)


def test_a_site_may_be_shown_an_old_entry_and_the_same_checkpoint_again() -> None:
    tree = grown(12)
    seen = check_proof(entry(11), proof(tree, 11, 0), LOG, None)
    assert check_proof(entry(3), proof(tree, 3, 12), LOG, seen) == seen


def test_a_rewritten_log_is_a_fork() -> None:
    seen = checkpoint(grown(10), 10)
    with pytest.raises(LogForked):
        check_proof(entry(14), proof(grown(15, rewritten=4), 14, 10), LOG, seen)


def test_another_log_of_the_same_size_is_a_fork() -> None:
    with pytest.raises(LogForked):
        check_proof(entry(9), proof(grown(10, rewritten=4), 9, 10), LOG, checkpoint(grown(10), 10))


def test_a_shorter_log_is_a_fork() -> None:
    with pytest.raises(LogForked):
        check_proof(entry(5), proof(grown(6), 5, 6), LOG, checkpoint(grown(10), 10))


@pytest.mark.parametrize("from_size", [0, 8, 12])
def test_a_proof_from_another_size_is_stale(from_size: int) -> None:
    with pytest.raises(IntegrityError) as refused:
        check_proof(entry(14), proof(grown(15), 14, from_size), LOG, checkpoint(grown(10), 10))
    assert refused.value.reason == "stale_proof"
    assert not isinstance(refused.value, LogForked)


def test_an_entry_that_is_not_the_logged_one_is_refused() -> None:
    for wrong in (entry(14, "other"), entry(13), entry(15)):
        with pytest.raises(IntegrityError):
            check_proof(wrong, proof(grown(15), 14, 10), LOG, checkpoint(grown(10), 10))


def test_a_checkpoint_by_another_key_is_refused() -> None:
    forged = proof(grown(15), 14, 0).model_copy(
        update={"checkpoint": checkpoint(grown(15), 15).sign(SigningKey(b"\x06" * 32))}
    )
    with pytest.raises(IntegrityError) as refused:
        check_proof(entry(14), forged, LOG, None)
    assert refused.value.reason == "signature"
