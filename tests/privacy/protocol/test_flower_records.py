# SPDX-License-Identifier: Apache-2.0
"""A message survives Flower's records byte for byte, and nothing else passes for one."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.base.errors import ContractError
from privacy.log.keys import SigningKey
from privacy.protocol.flower import PIECE_BYTES, cut, deflate, from_content, inflate, object_limit, to_content
from privacy.protocol.messages import MAX_BODY_BYTES, Header, Refusal, SignedMessage, seal

LIMIT = 64 << 20


def message(payload: bytes, seen_tree_size: int = 1) -> SignedMessage:
    return seal(
        Refusal(plan_digest="0" * 64, reason="policy", seen_tree_size=seen_tree_size),
        Header(
            kind="refusal",
            run_id="run",
            server_round=3,
            attempt=1,
            phase="update",
            sender="hospital_a",
            context_digest="1" * 64,
            log_vkey="collab/woods+e973f7aa+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c",
            recipient="coordinator",
        ),
        SigningKey(b"k" * 32),
        payload=payload,
    )


def distinct(length: int) -> bytes:
    """`length` bytes of which no two pieces are equal."""
    return b"".join(index.to_bytes(8, "little") for index in range(-(-length // 8)))[:length]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES]),
    st.binary(max_size=200),
    st.integers(0, 1 << 40),
)
def test_a_message_survives_the_wire(padding: int, payload: bytes, seen: int) -> None:
    sent = message(payload + bytes(padding), seen)
    assert from_content(inflate(*deflate(to_content(sent))), LIMIT) == sent


def test_a_message_is_few_objects_and_as_many_as_the_limit_says() -> None:
    sent = message(distinct(3 * PIECE_BYTES + 5))
    _, objects = deflate(to_content(sent))
    # and the message itself
    assert len(objects) + 1 == object_limit(len(sent.payload))
    assert max(len(content) for content in objects.values()) <= 5 << 20


def test_a_broadcast_is_uploaded_once() -> None:
    payload = distinct(2 * PIECE_BYTES)
    pieces = cut(payload)
    first = deflate(to_content(message(payload, 1), pieces))[1]
    second = deflate(to_content(message(payload, 2), pieces))[1]
    assert len(first.keys() - second.keys()) == 2  # the head and the record dict
    assert len(first) == 2 + 1 + 2 * 2


def test_joining_holds_one_payload_in_memory_and_not_two() -> None:
    payload = distinct(8 * PIECE_BYTES)
    root, objects = deflate(to_content(message(payload)))
    del payload
    tracemalloc.start()
    content = inflate(root, objects)
    del objects
    received = from_content(content, LIMIT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The objects were there before; only the joined payload is new, over-allocated by BytesIO by an eighth.
    assert len(received.payload) == 8 * PIECE_BYTES
    assert peak < 1.3 * len(received.payload)


def head(**changes: object) -> ConfigRecord:
    good = to_content(message(b"abc"))["parcel"]
    return ConfigRecord({**good, **changes})


def pieces(*values: bytes, dtype: str = "uint8", stype: str = "collab.bytes") -> ArrayRecord:
    return ArrayRecord({f"{i:04d}": Array(dtype, (len(v),), stype, v) for i, v in enumerate(values)})


def wrong_shape() -> ArrayRecord:
    return ArrayRecord({"0000": Array("uint8", (4,), "collab.bytes", b"abc")})


BAD_CONTENTS: dict[str, Callable[[], RecordDict]] = {
    "nothing": lambda: RecordDict({}),
    "head_of_another_type": lambda: RecordDict({"parcel": pieces(b"abc")}),
    "an_unknown_record": lambda: RecordDict({**to_content(message(b"abc")), "more": ConfigRecord({})}),
    "a_metric_record": lambda: RecordDict({"parcel": head(), "payload": MetricRecord({"a": 1})}),
    "an_unknown_field": lambda: RecordDict({"parcel": head(more=1), "payload": pieces(b"abc")}),
    "text_for_bytes": lambda: RecordDict({"parcel": head(body="{}"), "payload": pieces(b"abc")}),
    "a_boolean_length": lambda: RecordDict({"parcel": head(payload_bytes=True), "payload": pieces(b"a")}),
    "a_negative_length": lambda: RecordDict({"parcel": head(payload_bytes=-1), "payload": pieces(b"abc")}),
    "over_the_limit": lambda: RecordDict({"parcel": head(payload_bytes=LIMIT + 1), "payload": pieces(b"abc")}),
    "a_long_body": lambda: RecordDict({"parcel": head(body=bytes(MAX_BODY_BYTES + 1)), "payload": pieces(b"abc")}),
    "a_long_envelope": lambda: RecordDict({"parcel": head(envelope=bytes(20000)), "payload": pieces(b"abc")}),
    "no_envelope": lambda: RecordDict({"parcel": head(envelope=b"{}"), "payload": pieces(b"abc")}),
    "no_payload": lambda: RecordDict({"parcel": head()}),
    "an_unannounced_payload": lambda: RecordDict({"parcel": head(payload_bytes=0), "payload": pieces(b"abc")}),
    "a_payload_too_short": lambda: RecordDict({"parcel": head(), "payload": pieces(b"ab")}),
    "a_piece_too_many": lambda: RecordDict({"parcel": head(), "payload": pieces(b"abc", b"d")}),
    "a_piece_missing": lambda: RecordDict({"parcel": head(payload_bytes=PIECE_BYTES + 1), "payload": pieces(b"abc")}),
    "pieces_cut_elsewhere": lambda: RecordDict({"parcel": head(), "payload": pieces(b"a", b"bc")}),
    "pieces_out_of_order": lambda: RecordDict(
        {
            "parcel": head(payload_bytes=PIECE_BYTES + 3),
            "payload": ArrayRecord(dict(reversed(pieces(bytes(PIECE_BYTES), b"abc").items()))),
        }
    ),
    "a_numpy_array": lambda: RecordDict({"parcel": head(), "payload": pieces(b"abc", stype="numpy.ndarray")}),
    "floats": lambda: RecordDict({"parcel": head(), "payload": pieces(b"abc", dtype="float32")}),
    "a_shape_that_lies": lambda: RecordDict({"parcel": head(), "payload": wrong_shape()}),
}


@pytest.mark.parametrize("name", BAD_CONTENTS)
def test_what_is_no_message_is_refused(name: str) -> None:
    with pytest.raises(ContractError) as caught:
        from_content(BAD_CONTENTS[name](), LIMIT)
    assert caught.value.reason == "malformed"


def test_the_contents_that_the_refusals_start_from_are_good() -> None:
    assert from_content(RecordDict({"parcel": head(), "payload": pieces(b"abc")}), LIMIT) == message(b"abc")


def rewrite(objects: dict[str, bytes], kind: str, change: Callable[[dict[str, object]], None]) -> dict[str, bytes]:
    """`objects` with the JSON body of the first object of `kind` changed and its length set right."""
    for object_id, content in objects.items():
        if content.startswith(kind.encode() + b" "):
            header, _, body = content.partition(b"\x00")
            fields = json.loads(body)
            change(fields)
            encoded = json.dumps(fields).encode()
            start = header.rsplit(b" ", 1)[0]
            return {**objects, object_id: start + b" %d\x00" % len(encoded) + encoded}
    raise AssertionError(f"no {kind}")


def test_a_piece_that_repeats_its_chunk_is_refused_before_it_grows() -> None:
    root, objects = deflate(to_content(message(distinct(PIECE_BYTES))))
    bomb = rewrite(objects, "Array", lambda fields: fields.update(arraychunk_ids=[0] * 100_000))
    with pytest.raises(ContractError):
        inflate(root, bomb)


KINDS = ["RecordDict", "ConfigRecord", "ArrayRecord", "Array", "ArrayChunk"]
BREAKS = ["missing", "empty", "cut", "other_kind", "no_header", "nonsense"]


# A chunk's body is any bytes: whether they are the right ones, its sha256 says.
@pytest.mark.parametrize(
    ("kind", "how"), [(k, h) for k in KINDS for h in BREAKS if (k, h) != ("ArrayChunk", "nonsense")]
)
def test_a_broken_object_is_refused(kind: str, how: str) -> None:
    root, objects = deflate(to_content(message(b"abc")))
    at = next(object_id for object_id, content in objects.items() if content.startswith(kind.encode() + b" "))
    broken = {
        "empty": b"",
        "cut": objects[at][:-1],
        "other_kind": objects[at].replace(kind.encode(), b"Message", 1),
        "no_header": objects[at].partition(b"\x00")[2],
        "nonsense": kind.encode() + b"  3\x00\xff\xfe\xfd",
    }
    if how == "missing":
        del objects[at]
    else:
        objects[at] = broken[how]
    with pytest.raises(ContractError):
        from_content(inflate(root, objects), LIMIT)


@pytest.mark.parametrize(
    "room",
    [
        "privacy.protocol.flower",
        "coordinator.wire.message_exchange",
        "client.wire.app",
        "simulations.engines.inprocess",
    ],
)
def test_no_room_lets_flower_call_home(room: str) -> None:
    code = (
        f"import {room}, os, sys; from flwr.supercore import telemetry as t;"
        "assert t.FLWR_TELEMETRY_ENABLED == '0'; assert os.environ['FLWR_DISABLE_UPDATE_CHECK'] == '1';"
        "assert 'torch' not in sys.modules and 'ray' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": "/usr/bin:/bin"})
