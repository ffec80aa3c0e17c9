# SPDX-License-Identifier: Apache-2.0
"""A public seed may be told and repeated; a secret one is neither shown, kept, compared nor ever drawn twice."""

from __future__ import annotations

import copy
import hmac
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.base.randomness import PublicSeed, SecretSeed

NAMES = st.text(min_size=1, max_size=20)
BYTES = st.binary(min_size=32, max_size=32)
PLAN = "a" * 64


def test_seeds_have_exactly_32_bytes() -> None:
    for size in (0, 31, 33):
        for kind in (PublicSeed, SecretSeed):
            with pytest.raises(ValueError, match="32 bytes"):
                kind(bytes(size))
    with pytest.raises(ValueError, match="32 bytes"):
        SecretSeed.for_attempt(SecretSeed(bytes(32)), bytes(16), PLAN)


def hkdf(key: bytes, salt: bytes, info: str) -> bytes:
    """RFC 5869 with SHA-256 and one block of output, from its text."""
    extracted = hmac.digest(salt, key, "sha256")
    return hmac.digest(extracted, info.encode() + b"\x01", "sha256")


def test_derivations_are_hkdf_of_rfc_5869_under_the_names_that_logs_were_written_with() -> None:
    key, nonce = b"\x01" * 32, b"\x02" * 32
    assert PublicSeed.from_integer(1).value == hkdf(bytes(15) + b"\x01", b"collab/public-seed/v1", "integer")
    assert PublicSeed(key).derive("round/1").value == hkdf(key, b"collab/public/v1", "round/1")
    attempt = hkdf(key, nonce, f"collab/attempt/v1|{PLAN}")
    seed = SecretSeed.for_attempt(SecretSeed(key), nonce, PLAN)
    assert seed.derive("noise").expose("test") == hkdf(attempt, b"collab/secret/v1", "noise")


@given(BYTES, NAMES, NAMES)
def test_two_purposes_never_share_a_seed(value: bytes, first: str, second: str) -> None:
    secrets = [SecretSeed(value).derive(name).expose("test") for name in (first, second)]
    publics = [PublicSeed(value).derive(name) for name in (first, second)]
    assert (secrets[0] == secrets[1]) == (publics[0] == publics[1]) == (first == second)
    assert secrets[0] != publics[0].value


@given(st.lists(st.tuples(BYTES, BYTES, st.sampled_from("abcdef")), min_size=2, max_size=8, unique=True))
def test_no_two_sites_nonces_or_plans_share_a_stream(attempts: list[tuple[bytes, bytes, str]]) -> None:
    seeds = [SecretSeed.for_attempt(SecretSeed(key), nonce, plan * 64) for key, nonce, plan in attempts]
    assert len({seed.expose("test") for seed in seeds}) == len(attempts)
    assert len({seed.commit("here") for seed in seeds}) == len(attempts)


@given(BYTES)
def test_a_commitment_binds_to_its_context_and_shows_nothing_of_the_seed(value: bytes) -> None:
    seed = SecretSeed(value)
    assert seed.commit("a") != seed.commit("b")
    assert seed.commit("a") == SecretSeed(value).commit("a")
    assert value.hex() not in seed.commit("a")


def test_a_secret_seed_is_not_shown_compared_hashed_pickled_or_encoded() -> None:
    seed = SecretSeed(b"\x07" * 32)
    assert repr(seed) == str(seed) == f"{seed}" == "SecretSeed(hidden)"
    with pytest.raises(TypeError, match="not compared"):
        assert seed == seed
    with pytest.raises(TypeError):
        hash(seed)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(seed)
    with pytest.raises(TypeError):
        copy.deepcopy(seed)
    with pytest.raises(TypeError):
        json.dumps(seed)
    with pytest.raises(ValueError, match="who reads"):
        seed.expose("")
    assert not hasattr(seed, "__dict__")


def test_a_public_generator_gives_the_same_numbers_again() -> None:
    draws = [PublicSeed(b"\x01" * 32).numpy_generator().integers(0, 1 << 62, 4) for _ in range(2)]
    assert np.array_equal(*draws)
    assert not np.array_equal(draws[0], PublicSeed(b"\x02" * 32).numpy_generator().integers(0, 1 << 62, 4))


def test_public_seeds_are_values() -> None:
    seed = PublicSeed.from_integer(7)
    assert PublicSeed.from_hex(seed.hex()) == seed
    assert len({seed, PublicSeed.from_integer(7), PublicSeed.from_integer(8)}) == 2
    assert PublicSeed.fresh() != PublicSeed.fresh()
