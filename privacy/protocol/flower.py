# SPDX-License-Identifier: Apache-2.0
"""Parcels as Flower records and back: the one room of privacy that knows Flower.

A message becomes one ConfigRecord (envelope, body, length of the payload) and, if it has a payload, one ArrayRecord of
equal pieces just under 5 MiB: Flower pays one request per object and cuts an array into chunks of 5 MiB. The way in is
strict: what is not exactly that shape is a ContractError. Nothing is unpickled and no array format is parsed; a piece
is bytes. Only Flower's public classes are used; the object format (header, NUL, body) is that of flwr 1.41.

On the wire each piece stands behind a salt of its payload's. Flower calls an object by the hash of its content: without
the salt a site could name the objects of a model before its coordinator sends them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Final

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when flwr is imported: nothing here calls home
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from privacy.base.canonical import canonical_bytes
from privacy.base.errors import ContractError
from privacy.protocol.messages import MAX_BODY_BYTES, Envelope, SignedMessage, parse

PIECE_BYTES: Final = (5 << 20) - 4096
SALT_BYTES: Final = 16
MAX_ENVELOPE_BYTES: Final = 16384
_HEAD: Final = "parcel"
_PAYLOAD: Final = "payload"
_DTYPE: Final = "uint8"
_STYPE: Final = "collab.bytes"
_MAX_HEADER_BYTES: Final = 1 << 20
_ASK: Final = "ask the sender which versions of collab and flwr it runs"


def object_limit(max_payload_bytes: int) -> int:
    """The most Flower objects that a message with a payload of `max_payload_bytes` consists of."""
    return 4 + 2 * -(-max_payload_bytes // PIECE_BYTES)


class _Chunk:
    """What Flower calls an ArrayChunk: a salt and a piece, which is not copied before it is sent."""

    children = None

    def __init__(self, salt: bytes, piece: memoryview) -> None:
        self._parts = (f"ArrayChunk  {len(salt) + len(piece)}".encode() + b"\x00", salt, piece)
        state = hashlib.sha256()
        for part in self._parts:
            state.update(part)
        self.object_id = state.hexdigest()

    def deflate(self) -> bytes:
        return b"".join(self._parts)


def cut(payload: bytes) -> ArrayRecord:
    """`payload` in pieces that share its memory. One record may stand in the contents of several messages."""
    record, view, salt = ArrayRecord(), memoryview(payload), os.urandom(SALT_BYTES)
    for index, start in enumerate(range(0, len(payload), PIECE_BYTES)):
        piece = view[start : start + PIECE_BYTES]
        array = Array(_DTYPE, (len(piece),), _STYPE, b"")
        array.data = piece  # set afterwards: the constructor asks for bytes, and bytes would be a copy
        chunk = _Chunk(salt, piece)
        array.__dict__["_chunks"] = [(chunk.object_id, chunk)]
        record[f"{index:04d}"] = array
    return record


def to_content(signed_message: SignedMessage, pieces: ArrayRecord | None = None) -> RecordDict:
    """The message as a message's content. `pieces`, if given, is `cut(message.payload)`, shared by a broadcast."""
    head = {
        "envelope": canonical_bytes(signed_message.envelope),
        "body": signed_message.body,
        "payload_bytes": len(signed_message.payload),
    }
    content = RecordDict({_HEAD: ConfigRecord(head)})
    if signed_message.payload:
        content[_PAYLOAD] = cut(signed_message.payload) if pieces is None else pieces
    return content


def envelope_of(content: RecordDict) -> tuple[Envelope, int]:
    """The envelope of the message in `content` (of `to_content`), and the bytes of envelope, body and payload."""
    head = content[_HEAD]
    envelope, body, total = head["envelope"], head["body"], head["payload_bytes"]
    if type(envelope) is not bytes or type(body) is not bytes or type(total) is not int:
        raise ContractError("a message's fields have wrong types", next_step=_ASK)
    return parse(Envelope, envelope), len(envelope) + len(body) + total


def from_content(content: RecordDict, max_payload_bytes: int) -> SignedMessage:
    """The message in `content`, whose pieces are taken out as they are joined: one payload in memory, not two.

    Says nothing about who sent it: that is open_message's work. Raises ContractError ("malformed") for anything else
    than what `to_content` makes: another record, another type, a piece too many or too few, a payload over the limit.
    """
    envelope, body, total = _head(content, max_payload_bytes)
    if set(content) != ({_HEAD, _PAYLOAD} if total else {_HEAD}):
        raise ContractError("a message holds other records than a message's", next_step=_ASK)
    signed = parse(Envelope, envelope)
    if not total:
        return SignedMessage(signed, body)
    if type(content[_PAYLOAD]) is not ArrayRecord:
        raise ContractError("a payload's record has another type", next_step=_ASK)
    return SignedMessage(signed, body, _join(content[_PAYLOAD], total))


def _head(content: RecordDict, max_payload_bytes: int) -> tuple[bytes, bytes, int]:
    """Envelope, body and the payload's length, each of its type and no longer than it may be."""
    head = content.get(_HEAD)
    if type(head) is not ConfigRecord or set(head) != {"envelope", "body", "payload_bytes"}:
        raise ContractError("a message does not hold one of ours", next_step=_ASK)
    envelope, body, total = head["envelope"], head["body"], head["payload_bytes"]
    if type(envelope) is not bytes or type(body) is not bytes or type(total) is not int:
        raise ContractError("a message's fields have wrong types", next_step=_ASK)
    if len(envelope) > MAX_ENVELOPE_BYTES or len(body) > MAX_BODY_BYTES or not 0 <= total <= max_payload_bytes:
        raise ContractError("a message is longer than it may be", next_step=_ASK)
    return envelope, body, total


def _join(record: ArrayRecord, total: int) -> bytes:
    starts = range(0, total, PIECE_BYTES)
    if list(record) != [f"{index:04d}" for index in range(len(starts))]:
        raise ContractError("a payload's pieces are missing or out of order", next_step=_ASK)
    for start, piece in zip(starts, record.values(), strict=True):
        size = min(PIECE_BYTES, total - start)
        if (piece.dtype, piece.stype, tuple(piece.shape), len(piece.data)) != (_DTYPE, _STYPE, (size,), size):
            raise ContractError("a piece of a payload has another type or length", next_step=_ASK)
    joined = BytesIO()
    for name in list(record):
        joined.write(record.pop(name).data)
    return joined.getvalue()


def deflate(content: RecordDict) -> tuple[str, dict[str, bytes]]:
    """`content` as Flower puts it on the wire: the id of its root and every object's bytes under its id."""
    objects: dict[str, bytes] = {}

    def collect(object_id: str, value: RecordDict) -> None:
        for child_id, child in (value.children or {}).items():
            collect(child_id, child)
        objects[object_id] = value.deflate()

    root = content.object_id
    collect(root, content)
    return root, objects


def inflate(root: str, objects: MutableMapping[str, bytes]) -> RecordDict:
    """The content under `root`, its pieces sharing the memory of `objects`, which are taken out as they are used.

    Flower's own way copies each array and follows whatever repetition an array's body asks for, which lets a few
    kilobytes grow to terabytes. Here an array is one chunk. Raises ContractError for anything but a message's tree.
    """
    try:
        children, body = _split(objects[root], "RecordDict")
        names = json.loads(bytes(body))
        if sorted(names) not in ([_HEAD], [_HEAD, _PAYLOAD]) or {*names.values()} != {*children}:
            raise ContractError("a message holds other records than a message's", next_step=_ASK)
        content = RecordDict({_HEAD: ConfigRecord.inflate(objects.pop(names[_HEAD]))})
        if _PAYLOAD in names:
            content[_PAYLOAD] = _inflate_pieces(names[_PAYLOAD], objects)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        raise ContractError("a message is not in the object format of Flower", next_step=_ASK) from None
    except Exception as error:  # protobuf's own DecodeError, which is of no public class
        if isinstance(error, ContractError):
            raise
        raise ContractError("a message is not in the object format of Flower", next_step=_ASK) from None
    return content


def inflate_message(message_id: str, objects: MutableMapping[str, bytes]) -> Message:
    """The message pulled as `objects`, with its content or its error. Raises ContractError like `inflate`."""
    try:
        content = objects.pop(message_id)
        roots = _split(content, "Message")[0]
        message = Message.inflate(content, {root: inflate(root, objects) for root in roots})
    except ContractError:
        raise
    except Exception:  # a KeyError, a ValueError, or protobuf's own DecodeError
        raise ContractError("a message is not in the object format of Flower", next_step=_ASK) from None
    message.metadata.__dict__["_message_id"] = message_id
    return message


def in_two_lanes(carry: Callable[[str], None], object_ids: Sequence[str]) -> None:
    """Carry each object, two at a time: no more than two are in memory twice. The first error is raised at the end."""

    def carry_all(lane: Sequence[str]) -> None:
        for object_id in lane:
            carry(object_id)

    with ThreadPoolExecutor(2) as lanes:
        for done in [lanes.submit(carry_all, object_ids[at::2]) for at in (0, 1)]:
            done.result()


def _inflate_pieces(record_id: str, objects: MutableMapping[str, bytes]) -> ArrayRecord:
    record = ArrayRecord()
    _, body = _split(objects.pop(record_id), "ArrayRecord")
    chunks: dict[str, memoryview] = {}  # equal pieces are one object
    for name, array_id in json.loads(bytes(body)).items():
        (chunk_id,), fields = _split(objects[array_id], "Array")
        described = json.loads(bytes(fields))
        if described.pop("arraychunk_ids") != [0]:
            raise ContractError("a piece of a payload is more than one chunk", next_step=_ASK)
        if chunk_id not in chunks:
            chunks[chunk_id] = _split(objects.pop(chunk_id), "ArrayChunk")[1][SALT_BYTES:]
        array = Array(described["dtype"], tuple(described["shape"]), described["stype"], b"")
        array.data = chunks[chunk_id]
        record[name] = array
    return record


def _split(content: bytes, kind: str) -> tuple[list[str], memoryview]:
    """An object's children and its body, of which it says kind and length itself."""
    end = content.index(b"\x00", 0, _MAX_HEADER_BYTES)
    name, children, length = content[:end].decode("ascii").split(" ")
    body = memoryview(content)[end + 1 :]
    if name != kind or length != str(len(body)):
        raise ContractError("a message is not in the object format of Flower", next_step=_ASK)
    return children.split(",") if children else [], body
