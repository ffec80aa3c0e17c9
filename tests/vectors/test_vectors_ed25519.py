# SPDX-License-Identifier: Apache-2.0
"""Ed25519 through privacy.log.keys: RFC 8032 section 7.1, Wycheproof (151 cases) and the CCTV corner cases (914)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from privacy.base.errors import IntegrityError
from privacy.log.keys import SigningKey, VerifyKey

FOLDER = Path(__file__).resolve().parents[2] / ".." / "shared" / "vectors" / "ed25519"
needs_vectors = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared Ed25519 vectors are not beside the checkout")

RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
]


def holds(key: str, message: bytes, signature: str) -> bool:
    try:
        VerifyKey(bytes.fromhex(key)).verify_raw(message, bytes.fromhex(signature))
    except (IntegrityError, ValueError):  # ValueError: it is no key that anybody made
        return False
    return True


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_signatures_are_those_of_rfc_8032(secret: str, public: str, message: str, signature: str) -> None:
    key = SigningKey(bytes.fromhex(secret))
    assert key.verify_key().hex() == public
    assert key.sign_raw(bytes.fromhex(message)).hex() == signature
    assert holds(public, bytes.fromhex(message), signature)


@needs_vectors
def test_every_wycheproof_case_is_judged_as_the_vector_says() -> None:
    groups = json.loads((FOLDER / "wycheproof_ed25519_test.json").read_text())["testGroups"]
    verdicts = [
        (case["result"] == "valid", holds(group["publicKey"]["pk"], bytes.fromhex(case["msg"]), case["sig"]))
        for group in groups
        for case in group["tests"]
    ]
    assert len(verdicts) == 151
    assert all(expected == got for expected, got in verdicts)


@needs_vectors
def test_corner_cases_are_judged_by_the_cofactorless_equation_with_canonical_r_and_a_true_key() -> None:
    """What RFC 8032 leaves open is fixed here, so that a change of the library beneath is noticed."""
    cases = json.loads((FOLDER / "cctv_ed25519vectors.json").read_text())
    assert len(cases) == 914
    for case in cases:
        flags = set(case["flags"] or [])
        expected = not flags & {"low_order_residue", "non_canonical_R", "low_order_A", "non_canonical_A"}
        assert holds(case["key"], case["msg"].encode(), case["sig"]) == expected, case["number"]
