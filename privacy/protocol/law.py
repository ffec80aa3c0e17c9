# SPDX-License-Identifier: Apache-2.0
"""What the laws of several kinds of entries share. A run as its kinds together demand it:

    run_opened -> site_ready* -> [evaluation] -> (round: planned -> updates, refusals -> aggregated | aborted
    -> [evaluation: planned -> metrics, refusals -> evaluated])* -> run_closed

Each reply must be signed by the key that the roster admitted, about the plan that was asked. Every member of a cohort
is received or refused, what is received is included, and the model goes on from where it was.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from privacy.base.errors import ContractError
from privacy.base.identifiers import SiteId
from privacy.dp.params import PrivacyEvent
from privacy.protocol.envelope_law import Expected
from privacy.protocol.messages import Envelope, MessageKind, Phase
from privacy.protocol.plans import EvaluationPlan, RoundPlan
from privacy.protocol.reasons import Fault, unless
from privacy.protocol.run import Request, Run
from privacy.protocol.spending import counting_event


def check_bound(envelope: Envelope, version: int) -> None:
    """Raises ValueError unless `envelope` names its log and its recipient just where a log of `version` does."""
    if envelope.bound != (version >= 4):
        raise ValueError("envelopes name their log and their recipient from version 4 on, and only there")


def expected(kind: MessageKind, phase: Phase, site: SiteId, run: Run, server_round: int) -> Expected:
    """What the envelope of a reply of `site` to the open request of `phase` must speak of."""
    request = run.open.get(phase)
    return Expected(kind, phase, site, run.run_id, server_round, request.digest if request else "")


def envelope_faults(run: Run, expects: Expected, envelope: Envelope | None, body: BaseModel | None) -> Iterator[Fault]:
    """What is wrong with a logged envelope of a site, with the `body` that it signs, where that is logged too."""
    admitted = run.roster.get(expects.sender)
    if admitted is None or envelope is None:
        yield Fault(f"{expects.sender} is not admitted to this run, or its envelope is missing", "policy")
        return
    yield from expects.faults(envelope, body, admitted.signing_key, run.log_vkey)


def nothing_open(run: Run) -> Iterator[Fault]:
    """A plan, and the end, come after all that was asked before is settled."""
    yield from unless(not run.open.keys() - {"hello"}, "the phase before was not finished")


def all_accounted_for(request: Request) -> Iterator[Fault]:
    """Nobody who was asked is passed over in silence."""
    silent = sorted(request.missing)
    yield from unless(not silent, f"neither an answer nor a refusal is logged of {', '.join(silent)}")


def same_work(run: Run, plan: RoundPlan | EvaluationPlan) -> Iterator[Fault]:
    """A plan is of this run, of its model, and says again what the run was opened for."""
    assert run.opened is not None
    yield from unless(plan.run_id == run.run_id, "the plan names another run")
    same = plan.contract_digest == run.opened.contract_digest
    yield from unless(same, "the plan names another model contract")
    newest = plan.model_digest == run.model_digest
    yield from unless(newest, "the plan's model is not the newest one of the run")
    outline = run.opened.outline
    departures = outline.departures(plan) if outline else ()
    sentence = f"the plan departs from what the run was opened for: {', '.join(departures)}"
    yield from unless(not departures, sentence)


def has_public_data(run: Run, site: SiteId) -> bool:
    """Whether `site` was admitted as an evaluator: its counts are exact."""
    admitted = run.roster.get(site)
    return admitted is not None and admitted.role == "evaluator"


def counting_of(run: Run, plan: EvaluationPlan, site: SiteId) -> PrivacyEvent | None:
    """What the counts of `site` release under `plan`; None where they are exact, or their noise is no noise."""
    try:
        return None if has_public_data(run, site) else counting_event(plan)
    except ContractError:
        return None
