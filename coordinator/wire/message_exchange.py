# SPDX-License-Identifier: Apache-2.0
"""Carries one message to each site and brings the replies back, over any Flower Grid.

Explicit node ids, never "any node". Replies come in the fixed order of the sites' names and one at a time, so that
sums are the same in every run and memory does not grow with the number of sites. A site that is away gets its message
when it comes back, within the deadline: Flower never delivers a message twice, so it is pushed again, and a site that
has already answered sends the reply that it stored.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when flwr is imported: nothing here calls home
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"

from flwr.app import ArrayRecord, Message
from flwr.serverapp import Grid

from privacy.base.errors import ContractError, Unreachable
from privacy.base.identifiers import SiteId
from privacy.protocol import phases
from privacy.protocol.flower import cut, from_content, to_content
from privacy.protocol.messages import Phase, SignedMessage
from privacy.protocol.reasons import ReasonCode

CLIENT_APP_RAISED: Final = 2
"""Flower's ErrorCode.CLIENT_APP_RAISED_EXCEPTION: the site was there and failed. Asking again would not help."""
PRESENCE_SECONDS: Final = 1.0
"""How often, at most, the grid is asked who is online while replies are awaited."""
GRACE_SECONDS: Final = 60.0
"""How much longer than the deadline a message is valid, so that Flower drops no reply that came in time."""


@dataclass
class _PendingRequest:
    """One site's message in one exchange: the ids under which it was pushed, and the session of the site."""

    node: int
    signed_message: SignedMessage
    pieces: ArrayRecord
    pushed: list[str] = field(default_factory=list)
    session: str | None = None


class MessageExchange:
    """Speaks to the sites of `nodes` (site -> Flower node id) over `grid`.

    `clock` (seconds, monotonic) and `sleep` are arguments so that deadlines can be tested without waiting.
    """

    def __init__(
        self,
        grid: Grid,
        nodes: Mapping[SiteId, int],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        poll_seconds: float = 0.2,
    ) -> None:
        self._grid = grid
        self._nodes = dict(sorted(nodes.items()))
        self._clock = clock
        self._sleep = sleep
        self._poll_seconds = poll_seconds

    def online(self) -> set[SiteId]:
        """The sites whose nodes the grid holds for connected. A site killed just now stays in for two heartbeats."""
        return set(self._sessions())

    def wait_online(self, minimum: int, deadline_seconds: float) -> set[SiteId]:
        """The sites online as soon as they are at least `minimum`. Raises Unreachable at the deadline."""
        end = self._clock() + deadline_seconds
        while len(present := self.online()) < minimum:
            if self._clock() >= end:
                raise Unreachable(
                    f"{len(present)} of at least {minimum} sites are online",
                    next_step="ask the missing sites to start collab-client, then run again: nothing is lost",
                )
            self._sleep(self._poll_seconds)
        return present

    def send_and_receive(
        self,
        signed_messages: Mapping[SiteId, SignedMessage],
        *,
        phase: Phase,
        server_round: int,
        deadline_seconds: float,
        max_payload_bytes: int,
        absent_seconds: float | None = None,
    ) -> Iterator[tuple[SiteId, SignedMessage | ReasonCode]]:
        """Send each site its message and yield each site's reply, in the order of the sites' names.

        A site that gives none within `deadline_seconds` (from now on, for all sites together), or is not connected
        after `absent_seconds` (None: as long), yields "no_reply", one whose reply is no message or has a longer payload
        "malformed". Only what comes from the site's own node and answers the site's own message is its reply; anything
        else is dropped. Drop each reply before asking for the next: that keeps one in memory. A site without a node (it
        was taken off the roster) has "no_reply" at once. Raises Unreachable when the grid takes no messages.
        """
        end = self._clock() + deadline_seconds
        absent_end = end if absent_seconds is None else min(end, self._clock() + absent_seconds)
        requests = self._pending(signed_messages)
        looked_at = self._deliver(requests, phase, server_round, end)
        for site in sorted(signed_messages):
            if site not in requests:
                yield site, "no_reply"
                continue
            request = requests[site]
            while (reply := self._pull(request, max_payload_bytes)) is None and self._clock() < (
                absent_end if request.session is None else end
            ):
                self._sleep(self._poll_seconds)
                if self._clock() - looked_at >= PRESENCE_SECONDS:
                    looked_at = self._deliver(requests, phase, server_round, end)
            del requests[site]
            yield site, "no_reply" if reply is None else reply
            reply = None

    def _pending(self, signed_messages: Mapping[SiteId, SignedMessage]) -> dict[SiteId, _PendingRequest]:
        """A request for each site that has a node. Sites that get the same payload get the same objects."""
        pieces: dict[int, ArrayRecord] = {}
        requests = {}
        for site in sorted(signed_messages.keys() & self._nodes.keys()):
            payload = signed_messages[site].payload
            if id(payload) not in pieces:
                pieces[id(payload)] = cut(payload)
            requests[site] = _PendingRequest(self._nodes[site], signed_messages[site], pieces[id(payload)])
        return requests

    def _sessions(self) -> dict[SiteId, str]:
        """When each connected site last came: a site that was killed and is back has lost what it was given."""
        sessions = {info.node_id: info.last_activated_at for info in self._grid.get_nodes()}
        return {site: sessions[node] for site, node in self._nodes.items() if node in sessions}

    def _deliver(
        self, requests: Mapping[SiteId, _PendingRequest], phase: Phase, server_round: int, end: float
    ) -> float:
        """Push to the sites that are there and whose session has no message yet. Returns the time of this look."""
        now, sessions = self._clock(), self._sessions()
        due = []
        for site, request in requests.items():
            session = sessions.get(site)
            if session is not None and (session != request.session or not request.pushed):
                due.append(request)
            request.session = session
        messages = [
            self._grid.create_message(
                to_content(request.signed_message, request.pieces),
                phases.definition_of(phase).message_type,
                request.node,
                str(server_round),
                max(end - now, 0.0) + GRACE_SECONDS,
            )
            for request in due
        ]
        ids = list(self._grid.push_messages(messages)) if messages else []
        if len(ids) != len(messages):
            raise Unreachable(
                f"the SuperLink took {len(ids)} of {len(messages)} messages",
                next_step="compare the model's size with the limit in federation.toml, then run again",
            )
        for request, message_id in zip(due, ids, strict=True):
            if message_id:
                request.pushed.append(message_id)
            else:
                request.session = None
        return now

    def _pull(self, request: _PendingRequest, max_payload_bytes: int) -> SignedMessage | ReasonCode | None:
        """The site's reply, if there is one by now. An id whose message was lost is forgotten: it is pushed again."""
        for message_id in list(request.pushed):
            try:
                for reply in self._grid.pull_messages([message_id]):
                    if not _answers(reply, message_id, request.node):
                        continue  # nothing that this site was asked: it is as if it had not come
                    if not reply.has_error():
                        return from_content(reply.content, max_payload_bytes)
                    if reply.error.code == CLIENT_APP_RAISED:
                        return "no_reply"
                    request.pushed.remove(message_id)
            except ContractError:
                return "malformed"
        return None


def _answers(reply: Message, message_id: str, node: int) -> bool:
    """An error may also be the SuperLink's own: that the node is gone, that a message was lost."""
    head = reply.metadata
    return bool(head.reply_to_message_id == message_id and (head.src_node_id == node or reply.has_error()))
