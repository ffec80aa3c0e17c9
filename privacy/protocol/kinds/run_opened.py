# SPDX-License-Identifier: Apache-2.0
"""A run is opened: its whole recipe and the sites admitted to it. The first entry of every run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from privacy.base.canonical import DecimalString, Json, digest_of
from privacy.base.identifiers import Digest, HexBytes, Role, SiteId
from privacy.protocol.body import EntryBody
from privacy.protocol.messages import Printable
from privacy.protocol.outline import RunOutline
from privacy.protocol.reasons import Fault, unless
from privacy.protocol.run import Request
from privacy.protocol.selection import Rule, Selection
from privacy.protocol.spending import overspent

if TYPE_CHECKING:
    from privacy.protocol.entries import AuditEntry
    from privacy.protocol.run import Run


class RosterSite(BaseModel):
    """A site as admitted: the keys and the declared facts that its replies are held against."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    signing_key: HexBytes = Field(min_length=64, max_length=64)
    size_bucket: int = Field(ge=1)
    policy_digest: Digest
    role: Role


class RunOpened(EntryBody):
    """The run's whole recipe. `settings` are the resolved settings in full, `roster` the admitted sites.

    `outline` is what every plan of the run must say again; it is there from version 4 on.
    """

    in_a_round: ClassVar[bool] = False
    kind: Literal["run_opened"] = "run_opened"
    settings: dict[str, JsonValue] = Field(description="no floats: a real number is a decimal string")
    settings_digest: Digest
    roster: dict[SiteId, RosterSite]
    contract_digest: Digest
    initial_model_digest: Digest
    public_seed: HexBytes
    planned_rounds: int = Field(ge=1)
    noise_multiplier: DecimalString | None = Field(description="calibrated over all planned rounds; None: not private")
    evaluation_noise_multiplier: DecimalString | None = Field(
        description="over all planned evaluations; None: none or not private"
    )
    software: dict[str, Printable]
    simulated: bool
    outline: RunOutline | None = Field(default=None, exclude_if=lambda value: value is None)

    def faults(self, run: Run, entry: AuditEntry) -> Iterator[Fault]:
        yield from unless(run.opened is None, "this run was opened before")
        yield from unless(entry.server_round == 0, "a run opens in round 0")
        settings = digest_of(cast(Json, self.settings))
        yield from unless(settings == self.settings_digest, "the settings are not those of settings_digest")
        yield from self._outline_faults()

    def _outline_faults(self) -> Iterator[Fault]:
        """Where it contradicts its own outline, or promises what its noise cannot keep."""
        outline = self.outline
        if outline is None:
            return
        private = outline.privacy
        noise = private.noise_multiplier if private else None
        opened = (self.planned_rounds, self.noise_multiplier, self.evaluation_noise_multiplier)
        planned = (outline.planned_rounds, noise, outline.evaluation_noise_multiplier)
        yield from unless(opened == planned, "the run's outline has other rounds or noise than its opening")
        if private is not None and (sentence := overspent(private, outline.events())):
            yield Fault(sentence)

    def fold(self, run: Run, entry: AuditEntry) -> None:
        run.opened, run.opened_index, run.opened_at = self, entry.index, entry.recorded_at
        run.opening_digest, run.model_digest = self.request_digest(), self.initial_model_digest
        run.open["hello"] = Request("hello", 0, entry.index, run.opening_digest, tuple(sorted(self.roster)))
        run.selection = Selection(Rule.of(self.settings))

    def sentence(self, run: Run, entry: AuditEntry) -> str:
        noise = f"noise multiplier {self.noise_multiplier}" if self.noise_multiplier else "NOT private"
        return f"run {entry.run_id} opened: {len(self.roster)} sites, {self.planned_rounds} rounds, {noise}"

    def headline(self, run: Run, entry: AuditEntry) -> str:
        return "the run is open: settings, roster and first model are in the log"

    def blobs(self) -> tuple[Digest, ...]:
        return self.contract_digest, self.initial_model_digest

    def check_version(self, version: int) -> None:
        if (self.outline is not None) != (version >= 4):
            raise ValueError("the outline of a run is of version 4")
