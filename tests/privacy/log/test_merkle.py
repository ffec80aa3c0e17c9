# SPDX-License-Identifier: Apache-2.0
"""The growing tree against the definition of RFC 6962 section 2.1, for every pair of sizes."""

from __future__ import annotations

import pytest

from privacy.base.errors import IntegrityError
from privacy.log.merkle import EMPTY_ROOT, Tree, leaf_hash, node_hash, verify_consistency, verify_inclusion

MOST = 130


def entry(index: int) -> bytes:
    return b"entry %d" % index


def defined_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node_hash(defined_root(leaves[:half]), defined_root(leaves[half:]))


@pytest.fixture(scope="module")
def tree() -> Tree:
    grown = Tree()
    for index in range(MOST):
        assert grown.append(entry(index)) == index
    return grown


@pytest.fixture(scope="module")
def roots() -> list[bytes]:
    return [defined_root([leaf_hash(entry(index)) for index in range(size)]) for size in range(MOST + 1)]


def test_the_root_of_every_size_is_the_defined_one(tree: Tree, roots: list[bytes]) -> None:
    assert [tree.root(size) for size in range(MOST + 1)] == roots
    assert tree.root() == roots[-1]
    assert Tree().root() == EMPTY_ROOT


def test_every_inclusion_and_consistency_proof_up_to_130_entries_holds(tree: Tree, roots: list[bytes]) -> None:
    for new in range(1, MOST + 1):
        for old in range(1, new + 1):
            verify_consistency(old, new, roots[old], roots[new], tree.consistency_proof(old, new))
            verify_inclusion(old - 1, new, leaf_hash(entry(old - 1)), tree.inclusion_proof(old - 1, new), roots[new])


def test_a_proof_for_another_entry_size_or_root_fails(tree: Tree, roots: list[bytes]) -> None:
    proof = tree.inclusion_proof(5, 100)
    wrong = [
        (6, 100, leaf_hash(entry(5)), proof, roots[100]),
        (5, 100, leaf_hash(entry(6)), proof, roots[100]),
        (5, 100, leaf_hash(entry(5)), proof, roots[99]),
        (5, 100, leaf_hash(entry(5)), proof[:-1], roots[100]),
        (5, 100, leaf_hash(entry(5)), [*proof, proof[0]], roots[100]),
        (100, 100, leaf_hash(entry(5)), proof, roots[100]),
        (5, 100, leaf_hash(entry(5))[:31], proof, roots[100]),
    ]
    for arguments in wrong:
        with pytest.raises(IntegrityError):
            verify_inclusion(*arguments)


def test_a_rewritten_entry_breaks_every_consistency_proof_from_after_it(roots: list[bytes]) -> None:
    rewritten = Tree()
    for index in range(40):
        rewritten.append(b"rewritten" if index == 7 else entry(index))
    for old in range(1, 40):
        proof = rewritten.consistency_proof(old, 40)
        if old <= 7:
            verify_consistency(old, 40, roots[old], rewritten.root(), proof)
        else:
            with pytest.raises(IntegrityError):
                verify_consistency(old, 40, roots[old], rewritten.root(), proof)


def test_a_truncated_tree_is_the_tree_of_that_size(roots: list[bytes]) -> None:
    for size in range(41):
        cut = Tree()
        for index in range(40):
            cut.append(entry(index))
        cut.truncate(size)
        assert cut.root() == roots[size]
        for index in range(size, 60):
            cut.append(entry(index))
        assert cut.root() == roots[60]


def test_a_tree_answers_only_for_what_it_holds(tree: Tree) -> None:
    for call in (
        lambda: tree.root(MOST + 1),
        lambda: tree.inclusion_proof(3, 3),
        lambda: tree.inclusion_proof(-1, 3),
        lambda: tree.consistency_proof(4, 3),
        lambda: tree.truncate(MOST + 1),
    ):
        with pytest.raises(ValueError, match=r"leaves|leaf|shrink|size"):
            call()


def test_leaves_and_nodes_are_told_apart_as_the_rfc_says() -> None:
    """The first roots of the reference trees of Certificate Transparency (RFC 6962), for its own four entries."""
    tree, roots = Tree(), []
    for leaf in (b"", b"\x00", b"\x10", b"\x20\x21"):
        tree.append(leaf)
        roots.append(tree.root().hex())
    assert roots == [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert node_hash(leaf_hash(b""), leaf_hash(b"\x00")) == bytes.fromhex(roots[1])
