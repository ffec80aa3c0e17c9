# SPDX-License-Identifier: Apache-2.0
"""Do the stored payloads give the logged models, bit for bit? Every sum and every model is computed again.

For each aggregated round: each payload has the contract's length and, in exact integers, at most the plan's l2 norm;
folded by the plan's own rule they give `sum_digest`, and added to the model before they give `model_out`, with the
plan's server momentum where it has one. Nothing is taken from a stored model but the first; memory is that of two
models and one sum. What `verify` checks (who said what, in which order) is not checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from privacy.aggregation import load_rule, with_momentum
from privacy.audit.blobs import BlobReader
from privacy.audit.findings import AuditFinding, exit_code
from privacy.audit.stored import read_log
from privacy.base.canonical import digest_of
from privacy.base.errors import CollabError, ContractError, IntegrityError, Unreachable
from privacy.base.identifiers import Digest, RunId, SiteId, sha256
from privacy.protocol.entries import AuditEntry, RoundAggregated, RunOpened
from privacy.protocol.messages import SiteUpdate, parse
from privacy.protocol.plans import RoundPlan
from privacy.protocol.run import Round, Run
from privacy.update.delta import ModelContract, model_bytes, model_vector
from privacy.update.quantize import check_bound

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class ReplayReport(BaseModel):
    """`rounds_replayed` of `rounds` aggregated rounds gave the logged digests. `models`: run -> last model computed."""

    model_config = STRICT
    rounds: int
    rounds_replayed: int
    updates_checked: int
    models: dict[RunId, Digest]
    findings: tuple[AuditFinding, ...]
    incomplete: tuple[AuditFinding, ...]

    @property
    def exit_code(self) -> int:
        return exit_code(self.findings, self.incomplete)


def replay(folder: Path) -> ReplayReport:
    """Replay every run of the log in `folder`.

    Raises SettingsError when there is none, IntegrityError when it is damaged.
    """
    runs, findings = _replayed(folder)
    replays = runs.values()
    return ReplayReport(
        rounds=sum(run.rounds for run in replays),
        rounds_replayed=sum(run.rounds_replayed for run in replays),
        updates_checked=sum(run.updates_checked for run in replays),
        models={run_id: run.model_digest for run_id, run in runs.items() if run.model_digest},
        findings=(*findings, *(finding for run in replays for finding in run.findings)),
        incomplete=tuple(finding for run in replays for finding in run.incomplete),
    )


def _replayed(folder: Path) -> tuple[dict[RunId, RunReplay], list[AuditFinding]]:
    """Each run of the log, as far as its entries can be read, and what cannot be."""
    blobs = BlobReader(folder / "blobs")
    runs: dict[RunId, RunReplay] = {}
    for index, row in enumerate(read_log(folder).rows):
        try:
            entry = parse(AuditEntry, row.leaf)
        except ContractError as error:
            return runs, [AuditFinding(index=index, message=error.message)]
        runs.setdefault(entry.run_id, RunReplay(blobs)).take(entry)
    return runs, []


class RunReplay:
    """One run: its contract, its two newest models as computed here, and the payloads of the round at hand."""

    def __init__(self, blobs: BlobReader) -> None:
        self._blobs = blobs
        self._contract: ModelContract | None = None
        self._model: NDArray[np.float32] | None = None
        self._before: NDArray[np.float32] | None = None
        self._run = Run()
        self.model_digest: Digest = ""
        self.rounds = 0
        self.rounds_replayed = 0
        self.updates_checked = 0
        self.findings: list[AuditFinding] = []
        self.incomplete: list[AuditFinding] = []

    def take(self, entry: AuditEntry) -> None:
        """The next entry of the run.

        After a round that could not be replayed the run goes on with nothing to start from.
        """
        self._run.take(entry)
        match entry.body:
            case RunOpened() as opened:
                self._guarded(entry.index, lambda: self._open(opened))
            case RoundAggregated() as aggregated:
                self.rounds += 1
                self._guarded(entry.index, lambda: self._aggregate(aggregated, self._run.round(entry.server_round)))

    def _guarded(self, index: int, step: Callable[[], None]) -> None:
        try:
            step()
        except Unreachable as error:
            self._model = None
            self.incomplete.append(AuditFinding(index=index, message=error.message))
        except CollabError as error:
            self._model = None
            self.findings.append(AuditFinding(index=index, message=error.message))

    def _open(self, opened: RunOpened) -> None:
        contract = parse(ModelContract, self._blobs.get(opened.contract_digest))
        self._model, self._before = model_vector(contract, self._blobs.get(opened.initial_model_digest)), None
        self._contract, self.model_digest = contract, opened.initial_model_digest

    def _aggregate(self, aggregated: RoundAggregated, of_round: Round) -> None:
        contract, model, plan = self._contract, self._model, of_round.plan
        if contract is None or model is None:
            raise Unreachable("this round cannot be replayed: the model before it could not be computed")
        if plan is None or aggregated.plan_digest != digest_of(plan) or aggregated.model_in != self.model_digest:
            raise IntegrityError("the aggregate does not follow from the plan and the model before it")
        model_out = self._model_out(contract, model, plan, aggregated, of_round.updates)
        digest = sha256(model_bytes(contract, model_out))
        if digest != aggregated.model_out:
            raise IntegrityError(f"the payloads give model {digest[:12]}, the log names {aggregated.model_out[:12]}")
        self._before, self._model, self.model_digest = model, model_out, digest
        self.rounds_replayed += 1

    def _model_out(
        self,
        contract: ModelContract,
        model: NDArray[np.float32],
        plan: RoundPlan,
        aggregated: RoundAggregated,
        updates: Mapping[SiteId, SiteUpdate],
    ) -> NDArray[np.float32]:
        """The model that the stored payloads give, after their sum held."""
        rule = load_rule(plan.aggregation)
        total = rule.start(contract.size)
        for site in aggregated.included:
            if site not in updates or site not in plan.cohort:
                raise IntegrityError(f"{site} is included, but no update of it is logged")
            rule.fold(total, self._payload(contract, plan, site, updates[site]))
        if rule.sum_digest(total) != aggregated.sum_digest:
            raise IntegrityError("the payloads do not sum to the logged sum")
        weight = sum(plan.cohort[site].weight for site in aggregated.included)
        model_out = rule.finish(model, total, weight, plan.encoding.scale_log2)
        if plan.server_momentum is not None and self._before is not None:
            return with_momentum(model_out, model, self._before, plan.server_momentum)
        return model_out

    def _payload(self, contract: ModelContract, plan: RoundPlan, site: SiteId, update: SiteUpdate) -> NDArray[np.int32]:
        integers = self._blobs.open_array(update.payload_digest)
        if integers.size != contract.size or update.payload_bytes != contract.payload_bytes:
            raise ContractError(f"the payload of {site} has {integers.size} values, the model {contract.size}")
        try:
            check_bound(integers, plan.cohort[site].weight, plan.update_clip_norm, plan.encoding.scale_log2)
        except ContractError as error:
            raise ContractError(f"the payload of {site}: {error.message}", reason=error.reason) from None
        self.updates_checked += 1
        return integers
