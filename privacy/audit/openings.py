# SPDX-License-Identifier: Apache-2.0
"""Does an opening agree with its own outline, and is an envelope what it must be? For the auditor's law of a run."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from privacy.audit.spending import overspent
from privacy.base.canonical import digest_of
from privacy.base.errors import CollabError
from privacy.base.identifiers import Digest, RunId, SiteId
from privacy.log.keys import VerifyKey
from privacy.protocol.entries import RunOpened
from privacy.protocol.messages import COORDINATOR, Envelope, Kind, Phase, check_signature

Said = tuple[Kind, Phase, SiteId, RunId, int]
"""Kind, phase, sender, run and round of an envelope."""


def outline_faults(opened: RunOpened) -> Iterator[str]:
    """Where an opening contradicts its own outline, or promises what its noise cannot keep."""
    outline = opened.outline
    if outline is None:
        return
    private = outline.privacy
    noise = private.noise_multiplier if private else None
    said = (opened.planned_rounds, opened.noise_multiplier, opened.evaluation_noise_multiplier)
    if said != (outline.planned_rounds, noise, outline.evaluation_noise_multiplier):
        yield "the run's outline has other rounds or noise than its opening"
    if private is not None and (wrong := overspent(private, outline.events())):
        yield wrong


def envelope_faults(
    envelope: Envelope, said: Said, asked: Digest, body: BaseModel | None, signing_key: str, log_vkey: str | None
) -> Iterator[str]:
    """What is wrong with a site's envelope: signed by the admitted key, in this log (`log_vkey`, if it is known) and
    for its coordinator, about this plan, with this body (before version 4 that of a refusal is not in the log)."""
    site = said[2]
    found = (envelope.kind, envelope.phase, envelope.sender, envelope.run_id, envelope.server_round)
    if found != said:
        yield f"the envelope of {site} is about another"
    if envelope.context_digest != asked:
        yield f"the envelope of {site} answers another plan"
    if envelope.bound and (log_vkey not in (None, envelope.log_vkey) or envelope.recipient != COORDINATOR):
        yield f"the envelope of {site} was written for another federation, or for somebody else"
    if body is not None and envelope.body_digest != digest_of(body):
        yield f"the body is not the one that {site} signed"
    try:
        check_signature(envelope, VerifyKey.from_hex(signing_key))
    except CollabError:
        yield f"the signature of {site} does not hold"
