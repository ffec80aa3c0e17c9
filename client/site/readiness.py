# SPDX-License-Identifier: Apache-2.0
"""What a site does when a run opens, so that it is ready before the first round is planned.

First what may lead to a no, none of which reads data: the whole planned run against policy, contract and budget, both
self-checks, and how long a round would take. Then the data are read, anonymized and put on the model, and what is wrong
with them is said here, to the site's people, in sentences; the coordinator gets the same answer whatever they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from client.learning.model import device
from client.learning.training.training import TextExamples
from client.settings.site_settings import SiteFolder, SiteSettings
from client.site import guard
from client.site.budget import Budget
from client.site.mechanism_check import RunMechanismCheck
from client.site.pipeline import SitePipeline
from client.site.privately import answer_privately
from client.site.records import Anonymized
from client.site.reports import SiteReports
from client.site.self_check import RunSelfCheck
from privacy.base.errors import PlanRefused
from privacy.base.identifiers import RunId
from privacy.protocol.entries import RunOpened
from privacy.protocol.outline import RunOutline
from privacy.update.delta import ModelContract


class Readiness:
    """The runs that this process is ready for. What was read and removed is reported once a run."""

    def __init__(
        self,
        folder: SiteFolder,
        pipeline: SitePipeline,
        budget: Budget,
        self_check: RunSelfCheck,
        mechanism: RunMechanismCheck,
        reports: SiteReports,
    ) -> None:
        self._folder, self._settings, self._reports = folder, folder.settings, reports
        self._pipeline, self._budget = pipeline, budget
        self._self_check, self._mechanism = self_check, mechanism
        self._ready: set[RunId] = set()
        self._reported: set[RunId] = set()

    def check(self, run_id: RunId, opened: RunOpened) -> ModelContract:
        """The whole planned run, as this site would take part in it. Raises what the guard and the checks raise."""
        outline, settings = opened.outline, self._settings
        if outline is None:
            raise PlanRefused(
                "the run was opened by an older version, without an outline; nothing was read or trained",
                reason="policy",
                next_step="ask the coordinator for an upgrade, and for a new run",
            )
        guard.check_run(outline, settings)
        self._folder.check_files()
        contract, initial = self._pipeline.models.contract(outline, opened.public_seed)
        guard.check_contract(outline, opened, contract, initial)
        device.prepare(settings.compute)
        if settings.site.role == "trainer":
            self._self_check.of(run_id, outline.anonymization, opened)
            self._mechanism.of(run_id, outline.privacy, opened)
            guard.check_seconds(self._seconds(outline, contract, opened), settings)
            self._budget.check_run(run_id, opened)
        return contract

    def _seconds(self, outline: RunOutline, contract: ModelContract, opened: RunOpened) -> float:
        try:
            return self._pipeline.seconds_of_round(outline, contract, opened.public_seed)
        except Exception as error:  # on invented word pieces: whatever it is, it is the plan's
            raise PlanRefused(
                f"this model cannot be trained as it is planned ({type(error).__name__}); nothing was read or trained",
                reason="policy",
                next_step="ask the coordinator for another clipping method, scope or task",
            ) from None

    def prepare(self, run_id: RunId, opened: RunOpened, contract: ModelContract) -> None:
        """Read the data once a run and process, and say here what is wrong with them. Nothing of it is refused."""
        if run_id not in self._ready:
            answer_privately(
                lambda pipeline: self._prepare(run_id, opened, contract, pipeline),
                self._pipeline,
                lambda error: self._reports.answered_without_data(run_id, 0, "hello", error),
            )
            self._ready.add(run_id)

    def _prepare(self, run_id: RunId, opened: RunOpened, contract: ModelContract, pipeline: SitePipeline) -> None:
        done = self.report(run_id, pipeline)
        role = self._settings.site.role
        names = ("train", "dev") if role == "trainer" else ("test",)
        examples = {name: pipeline.examples(contract, opened.public_seed, name) for name in names}  # type: ignore[arg-type]
        warnings = list(warnings_of(done, examples, self._settings))
        if warnings:
            self._reports.left_out(run_id, sum(one.refused for one in examples.values()), warnings)

    def report(self, run_id: RunId, pipeline: SitePipeline) -> Anonymized:
        """Report once a run what was read and removed; the figures stay here."""
        done = pipeline.records.anonymized()
        if run_id not in self._reported:
            self._reported.add(run_id)
            self._reports.prepared(run_id, dict(done.corpus.as_json()), json.loads(done.report.to_json()))
        return done


NOISE_ALONE = {"train": "updates will be noise alone", "dev": "counts will be noise alone"}


def warnings_of(done: Anonymized, examples: dict[str, TextExamples], settings: SiteSettings) -> Iterator[str]:
    """What the site's people should know of their data before it takes part, a sentence each."""
    corpus, report = done.corpus, done.report
    if refused := sum(corpus.refused.values()):
        listed = ", ".join(f"{reason} {number}" for reason, number in sorted(corpus.refused.items()))
        yield f"{refused} of {corpus.read} rows are left out: {listed}"
    if removed := sum(number for _, number in report.refused):
        listed = ", ".join(f"{reason} {number}" for reason, number in report.refused)
        loud = " MORE THAN YOU ALLOW" if removed > settings.text.max_refused_fraction * report.rows else ""
        yield f"{removed} of {report.rows} rows cannot be anonymized and are left out{loud}: {listed}"
    for split, one in examples.items():
        if one.refused:
            of = one.refused + len(one)
            yield f"{one.refused} of {of} {split} rows lack a label of the plan, or what it reads: map your labels"
        if not len(one):
            what = NOISE_ALONE.get(split, "it counts 0")
            yield f"no {split} row is left: {what}, and it is charged all the same. You can decline this run"
