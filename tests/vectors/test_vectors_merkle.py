# SPDX-License-Identifier: Apache-2.0
"""The public RFC 6962 proof vectors (transparency-dev/merkle, Apache-2.0): 98 inclusion and 98 consistency cases."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from privacy.base.errors import IntegrityError
from privacy.log.merkle import verify_consistency, verify_inclusion

FOLDER = Path(__file__).resolve().parents[2] / ".." / "shared" / "vectors" / "merkle" / "testdata"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared Merkle vectors are not beside the checkout")


def cases(kind: str) -> list[Path]:
    return sorted((FOLDER / kind).rglob("*.json"))


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def proof_of(case: dict[str, Any]) -> list[bytes]:
    return [decoded(item) for item in case["proof"] or []]


def test_all_the_vectors_are_here() -> None:
    assert (len(cases("inclusion")), len(cases("consistency"))) == (98, 98)


@pytest.mark.parametrize("path", cases("inclusion") or [FOLDER], ids=name)
def test_an_inclusion_proof_is_judged_as_the_vector_says(path: Path) -> None:
    case = json.loads(path.read_text())
    arguments = (case["leafIdx"], case["treeSize"], decoded(case["leafHash"]), proof_of(case), decoded(case["root"]))
    if case["wantErr"]:
        with pytest.raises(IntegrityError):
            verify_inclusion(*arguments)
    else:
        verify_inclusion(*arguments)


@pytest.mark.parametrize("path", cases("consistency") or [FOLDER], ids=name)
def test_a_consistency_proof_is_judged_as_the_vector_says(path: Path) -> None:
    case = json.loads(path.read_text())
    arguments = (case["size1"], case["size2"], decoded(case["root1"]), decoded(case["root2"]), proof_of(case))
    if case["wantErr"]:
        with pytest.raises(IntegrityError):
            verify_consistency(*arguments)
    else:
        verify_consistency(*arguments)
