# SPDX-License-Identifier: Apache-2.0
"""What may differ between two neighbours' answers: named here, and nothing else.

And by how much. Both draw the same noise, so the counts differ by exactly what the patient counts for; and the update
of one step of SGD differs by at most what one unit's clipped gradient can move it.
"""

from __future__ import annotations

import json
import math
from typing import Final

import numpy as np

from privacy.protocol.messages import SignedMessage
from privacy.update.quantize import decode
from simulations.neighbours.cases import Case
from simulations.neighbours.plans import BUCKET, CLIP, SCALE_LOG2, SITE
from simulations.neighbours.world import Answers, World

NOISED: Final = {
    "site_hello": frozenset[str](),
    "site_update": frozenset({"payload_digest", "anonymization_commitment"}),
    "site_metrics": frozenset({"correct", "incorrect", "right", "actual", "predicted"}),
    "refusal": frozenset[str](),
}
"""Of each body: a digest of noised bytes, a salted commitment, noised counts."""
OF_THE_BODY: Final = frozenset({"body_digest", "signature"})
"""Of the envelope: a digest of the body, and the signature over it."""


def differences(case: Case, first: Answers, second: Answers) -> list[str]:
    """All that the two answers differ in and may not; none while the law holds."""
    unlike = [f"hello: {one}" for one in _differ(first.hello, second.hello)]
    unlike += [f"answer: {one}" for one in _differ(first.answer, second.answer)]
    if not unlike and first.answer.envelope.kind == "site_metrics":
        unlike += _counts(case, first.answer, second.answer)
    if not unlike and first.answer.envelope.kind == "site_update":
        unlike += _update(case, first.answer, second.answer)
    return unlike


def _differ(first: SignedMessage, second: SignedMessage) -> list[str]:
    """Kind, size, and every field that is not named above."""
    if first.envelope.kind != second.envelope.kind:
        return [f"kind: {first.envelope.kind} and {second.envelope.kind}"]
    kind = first.envelope.kind
    assert {one.envelope.sender for one in (first, second)} == {SITE}
    bodies = [json.loads(message.body) for message in (first, second)]
    envelopes = [message.envelope.model_dump(mode="json") for message in (first, second)]
    unlike = [name for name in sorted({*bodies[0], *bodies[1]} - NOISED[kind]) if _of(bodies, name)]
    unlike += [f"envelope.{name}" for name in sorted({*envelopes[0]} - OF_THE_BODY) if _of(envelopes, name)]
    if len(first.payload) != len(second.payload):
        unlike.append("the size of the payload")
    return unlike


def _of(pair: list[dict[str, object]], name: str) -> bool:
    return pair[0].get(name) != pair[1].get(name)


def _counts(case: Case, first: SignedMessage, second: SignedMessage) -> list[str]:
    """The noise is the same integers, so the difference is the patient's own counts."""
    counted = case.counted
    pair = [json.loads(message.body) for message in (first, second)]
    if {tuple(sorted(one)) for one in pair} != {tuple(sorted(pair[0]))}:
        return ["the counts' names"]
    scalars = sum(abs(pair[0][name] - pair[1][name]) for name in ("correct", "incorrect"))
    vectors = [
        sum(abs(one - other) for one, other in zip(pair[0][name], pair[1][name], strict=True))
        for name in ("right", "actual", "predicted")
    ]
    return [] if max(scalars, *vectors) <= counted else [f"counts moved by {scalars} and {vectors} of {counted}"]


def _update(case: Case, first: SignedMessage, second: SignedMessage) -> list[str]:
    """Of one step of SGD: rate * C / (q * bucket), and two quanta a value. Clipping an update lengthens nothing."""
    if case.num_steps > 1 or case.optimizer != "sgd":
        return []
    size = len(first.payload) // 4
    moved = decode(first.payload, size).astype(np.float64) - decode(second.payload, size)
    rate = float(case.learning_rate) * float(CLIP) / (float(case.sample_rate) * BUCKET)
    allowed = rate * 2.0**SCALE_LOG2 * (1 + 1e-3) + 2 * math.sqrt(size)
    distance = float(np.linalg.norm(moved))
    return [] if distance <= allowed else [f"the update moved by {distance:.1f} of {allowed:.1f}"]


def tried(world: World, case: Case) -> list[str]:
    """The case, put to both neighbours: what differed and may not."""
    return differences(case, *world.ask(case))
