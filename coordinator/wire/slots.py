# SPDX-License-Identifier: Apache-2.0
"""What each site was asked and may therefore say: one slot for (run, round, phase, site), and a quota of bytes for it.

The coordinator's own pushes open slots; a site fills its slot once, with one message from its node to the coordinator
that answers what it was sent. Objects belong to whoever announced them first: nobody else may claim their ids. Nothing
here knows Flower's formats (coordinator.wire.fleet reads them) or the wire.

What was asked and what was announced is written to a file as it happens, so that a SuperLink that was killed knows it
when it is back. Verdicts are HTTP statuses, 200 for "pass it on": a refusal says nothing else.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from privacy.base.identifiers import SiteId, sha256
from privacy.protocol.flower import object_limit

PASS: Final = 200
NOT_ASKED: Final = 403
TWICE: Final = 409
TOO_LATE: Final = 410
TOO_LONG: Final = 413
NONSENSE: Final = 422
COORDINATOR_NODE: Final = 1
SAID_BYTES: Final = 256 << 10
"""Of a reply beside its payload: envelope, body and Flower's own framing."""
OBJECT_BYTES: Final = 1 << 10
"""Of framing for each object of a payload."""
WITH_PAYLOAD: Final = "train"
"""The one type of message whose answer holds a payload. An evaluator answers none of it."""
CLOCK_SKEW_SECONDS: Final = 1.0

Counted = TypeVar("Counted")
Children = Mapping[str, tuple[str, ...]]
"""An object tree: each object's id and those of its children. The first is the root's."""


@dataclass(frozen=True)
class PushedMessage:
    """A message that the coordinator pushed to one node. `expires` is in seconds since 1970."""

    message_id: str
    run_id: int
    node: int
    kind: str
    group: str
    expires: float
    objects: tuple[str, ...]


@dataclass(frozen=True)
class Announced:
    """A reply as a site announces it, word for word: nothing of it was believed yet."""

    message_id: str
    run_id: int
    source: int
    target: int
    reply_to: str
    kind: str
    expires: float
    children: Children


@dataclass
class _Slot:
    pushed: PushedMessage
    closed: bool = False
    reply: Announced | None = None
    stored: dict[str, int] = field(default_factory=dict)


class Slots:
    """All slots that are open. `file` holds them for the next process; `max_payload_bytes` is the plan's."""

    def __init__(self, max_payload_bytes: int, file: Path | None = None) -> None:
        self._payload = max_payload_bytes
        self._slots: dict[str, _Slot] = {}
        self._current: dict[tuple[int, str, str, int], str] = {}
        self._owners: dict[str, tuple[int, tuple[str, ...] | None]] = {}
        self._held: Counter[str] = Counter()
        self._readable: Counter[tuple[int, int, str]] = Counter()
        self._uploads: dict[tuple[int, str], _Slot] = {}
        self.nodes: dict[SiteId, int] = {}
        self._counting = threading.Lock()
        self._file: int | None = None
        if file is not None:
            self._read(file)
            self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(self._file, b"\n")  # ends a line that was cut off

    def know(self, nodes: Mapping[SiteId, int]) -> None:
        """Which node each site has: kept for the next process."""
        self.nodes.update(nodes)
        self._note("nodes", dict(nodes))

    def limit(self, kind: str) -> int:
        """The most objects that a reply of this kind consists of."""
        return object_limit(self._payload if kind == WITH_PAYLOAD else 0)

    def quota(self, kind: str) -> int:
        """The most bytes that a reply of this kind may leave here."""
        payload = self._payload if kind == WITH_PAYLOAD else 0
        return payload + SAID_BYTES + OBJECT_BYTES * self.limit(kind)

    def stored(self, node: int) -> tuple[int, int]:
        """Bytes that this node left in its slots, and the sum of their quotas."""
        of_node = [slot for slot in self._slots.values() if slot.pushed.node == node]
        return sum(sum(slot.stored.values()) for slot in of_node), sum(self.quota(slot.pushed.kind) for slot in of_node)

    def ask(self, pushed: PushedMessage, *, now: float) -> None:
        """Open a slot. An older message of the same run, round, phase and site that has no reply yet is closed."""
        self._prune(now)
        if pushed.message_id not in self._slots:  # it is announced again after a call whose answer was lost
            self._note("asked", asdict(pushed))
            self._open(pushed)

    def _open(self, pushed: PushedMessage) -> None:
        before = self._slots.get(self._current.get(self._key(pushed), ""))
        if before is not None and before.reply is None:
            before.closed = True
        self._current[self._key(pushed)] = pushed.message_id
        self._slots[pushed.message_id] = _Slot(pushed)
        self._held.update(pushed.objects)
        self._readable.update((pushed.node, pushed.run_id, one) for one in pushed.objects)
        self._owners.update(dict.fromkeys(pushed.objects, (COORDINATOR_NODE, None)))

    def may_pull(self, node: int, run_id: int, object_id: str) -> int:
        """Whether a message that was sent to this node holds the object."""
        return PASS if (node, run_id, object_id) in self._readable else NOT_ASKED

    def may_confirm(self, node: int, run_id: int, message_id: str) -> int:
        """Whether the message was sent to this node: a confirmation deletes it."""
        slot = self._slots.get(message_id)
        return PASS if slot is not None and (slot.pushed.node, slot.pushed.run_id) == (node, run_id) else NOT_ASKED

    def announce(self, node: int, reply: Announced, *, now: float) -> int:
        """A reply is announced by the site whose node this is."""
        slot = self._slots.get(reply.reply_to)
        if slot is None or slot.pushed.node != node:
            return NOT_ASKED
        if slot.closed or now > slot.pushed.expires:
            return TOO_LATE
        if not _answers(reply, slot.pushed):
            return NOT_ASKED
        if next(iter(reply.children), None) != reply.message_id or len(reply.children) > self.limit(slot.pushed.kind):
            return NONSENSE
        if self._is_taken(slot, reply):
            return TWICE
        if slot.reply is None:
            self._note("announced", asdict(reply))
            self._take(slot, reply)
        return PASS

    def _is_taken(self, slot: _Slot, reply: Announced) -> bool:
        """Whether the slot holds another reply, or an object of this one belongs to somebody else."""
        if slot.reply is not None and slot.reply != reply:
            return True
        node = slot.pushed.node
        return not all(self._free(node, object_id, below) for object_id, below in reply.children.items())

    def _free(self, node: int, object_id: str, below: tuple[str, ...]) -> bool:
        return self._owners.get(object_id, (node, below)) == (node, below)

    def _take(self, slot: _Slot, reply: Announced) -> None:
        slot.reply = reply
        for object_id, below in reply.children.items():
            self._owners[object_id] = (slot.pushed.node, below)
            self._uploads[slot.pushed.node, object_id] = slot

    def may_push(self, node: int, run_id: int, object_id: str, content: bytes, *, now: float) -> int:
        """An object's bytes come from this node: only those of its own announced reply, whole, within its quota."""
        slot = self._uploads.get((node, object_id))
        if slot is None or slot.reply is None or slot.pushed.run_id != run_id:
            return NOT_ASKED
        if now > slot.pushed.expires:
            return TOO_LATE
        if sha256(content) != object_id or _children(content) != slot.reply.children[object_id]:
            return NONSENSE
        with self._counting:  # long objects are looked at in threads
            others = sum(size for known, size in slot.stored.items() if known != object_id)
            if others + len(content) > self.quota(slot.pushed.kind):
                return TOO_LONG
            slot.stored[object_id] = len(content)
        return PASS

    def _prune(self, now: float) -> None:
        """Forget the slots whose time is over, and who owned their objects: ids are salted, and never come again."""
        for message_id in [key for key, slot in self._slots.items() if now > slot.pushed.expires]:
            slot = self._slots.pop(message_id)
            pushed = slot.pushed
            if self._current.get(self._key(pushed)) == message_id:
                del self._current[self._key(pushed)]
            gone = _less(self._held, pushed.objects)
            _less(self._readable, [(pushed.node, pushed.run_id, one) for one in pushed.objects])
            for object_id in () if slot.reply is None else slot.reply.children:
                if self._uploads.get((pushed.node, object_id)) is slot:
                    del self._uploads[pushed.node, object_id]
                    gone.append(object_id)
            for object_id in gone:
                self._owners.pop(object_id, None)

    @staticmethod
    def _key(pushed: PushedMessage) -> tuple[int, str, str, int]:
        return pushed.run_id, pushed.group, pushed.kind, pushed.node

    def _note(self, what: str, value: Mapping[str, object]) -> None:
        if self._file is not None:
            os.write(self._file, json.dumps({what: value}).encode() + b"\n")

    def _read(self, file: Path) -> None:
        """What earlier processes wrote; a line may be cut off where one was killed."""
        for line in file.read_bytes().split(b"\n") if file.exists() else []:
            try:
                (what, value), *_ = json.loads(line).items()
            except ValueError:
                continue
            if what == "nodes":
                self.nodes.update(value)
            elif what == "asked":
                self._open(PushedMessage(**value | {"objects": tuple(value["objects"])}))
            elif (slot := self._slots.get(value["reply_to"])) is not None:
                children = {key: tuple(below) for key, below in value["children"].items()}
                self._take(slot, Announced(**value | {"children": children}))


def _answers(reply: Announced, pushed: PushedMessage) -> bool:
    """Whether a reply comes from the node that was asked, to the coordinator, of the same kind, for as long at most."""
    head = (reply.run_id, reply.source, reply.target, reply.kind)
    if head != (pushed.run_id, pushed.node, COORDINATOR_NODE, pushed.kind):
        return False
    return math.isfinite(reply.expires) and reply.expires <= pushed.expires + CLOCK_SKEW_SECONDS


def _less(held: Counter[Counted], ones: Sequence[Counted]) -> list[Counted]:
    """Count each of `ones` down; those that are at nothing are taken out and come back."""
    held.subtract(ones)
    gone = [one for one in dict.fromkeys(ones) if held[one] <= 0]
    for one in gone:
        del held[one]
    return gone


def _children(content: bytes) -> tuple[str, ...] | None:
    """The children that an object names in its own header, in the object format of flwr 1.41."""
    head = content.split(b"\x00", 1)[0].split(b" ") if b"\x00" in content else []
    if len(head) != 3:
        return None
    return tuple(head[1].decode("ascii", "replace").split(",")) if head[1] else ()
