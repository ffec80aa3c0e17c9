# SPDX-License-Identifier: Apache-2.0
"""Is a logged envelope what it must be? Signed by the admitted key, in this log and for its coordinator, about what was
asked, with this body. One rule for who writes a log and for who audits it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from privacy.base.canonical import digest_of
from privacy.base.errors import CollabError
from privacy.base.identifiers import Digest, RunId, SiteId
from privacy.log.keys import VerifyKey
from privacy.protocol.messages import COORDINATOR, Envelope, MessageKind, Phase, check_signature
from privacy.protocol.reasons import Fault, unless


@dataclass(frozen=True)
class Expected:
    """What a site's envelope must speak of."""

    kind: MessageKind
    phase: Phase
    sender: SiteId
    run_id: RunId
    server_round: int
    context_digest: Digest

    def faults(
        self, envelope: Envelope, body: BaseModel | None, signing_key: str, log_vkey: str | None
    ) -> Iterator[Fault]:
        """All that is wrong with `envelope`. `log_vkey`: the log, if it is known; `body`: what was signed, where it is
        logged (before version 4 a refusal's is not)."""
        site = self.sender
        named = (envelope.kind, envelope.phase, envelope.sender, envelope.run_id, envelope.server_round)
        expected = (self.kind, self.phase, site, self.run_id, self.server_round)
        yield from unless(named == expected, f"the envelope of {site} is about another", "replayed")
        same_plan = envelope.context_digest == self.context_digest
        yield from unless(same_plan, f"the envelope of {site} answers another plan", "replayed")
        if envelope.bound and (log_vkey not in (None, envelope.log_vkey) or envelope.recipient != COORDINATOR):
            sentence = f"the envelope of {site} was written for another federation, or for somebody else"
            yield Fault(sentence, "replayed")
        if body is not None and envelope.body_digest != digest_of(body):
            yield Fault(f"the body is not the one that {site} signed", "signature")
        try:
            check_signature(envelope, VerifyKey.from_hex(signing_key))
        except CollabError:
            yield Fault(f"the signature of {site} does not hold", "signature")
