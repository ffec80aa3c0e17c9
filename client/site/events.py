# SPDX-License-Identifier: Apache-2.0
"""What happens at a site, as its own people are told it: one frozen model an event, with its line and its sentence.

A line is one JSON object: `at`, `run_id`, `event` (the kind), then the fields that were set. What an older version
wrote is read as well: a field that came later has a default, one that went is kept, a kind that is gone is an
OtherEvent. All of it stays at the site, and no sentence holds text of a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Final, get_args

from pydantic import BaseModel, ConfigDict

from privacy.dp.params import Unit
from privacy.protocol.anonymization_check import EntityRecall


class SiteEvent(BaseModel):
    """What all events have. `kind` is the word that the line has for it."""

    model_config = ConfigDict(frozen=True, extra="allow")
    kind: ClassVar[str]
    at: float
    run_id: str

    @property
    def sentence(self) -> str:
        """The event for the site's own people."""
        return self.kind

    @property
    def when(self) -> str:
        """Its local time."""
        return f"{datetime.fromtimestamp(self.at).astimezone():%Y-%m-%d %H:%M}"

    def as_json(self) -> dict[str, object]:
        """Its line."""
        return {"at": self.at, "run_id": self.run_id, "event": self.kind} | self.model_dump(exclude_unset=True)


_OF_ALL: Final = frozenset(SiteEvent.model_fields)


class _Figures(BaseModel):
    """A part of an event."""

    model_config = ConfigDict(frozen=True, extra="allow")


class PreparedEvent(SiteEvent):
    """What was read and what was removed, in exact counts."""

    kind = "prepared"
    corpus: dict[str, int | dict[str, int]]
    anonymization: dict[str, object]

    @property
    def most_notes(self) -> Mapping[str, int]:
        """Rows of the patient who has the most, by split; empty where an older version did not count them."""
        counts = self.corpus.get("most_notes")
        return counts if isinstance(counts, dict) else {}

    @property
    def sentence(self) -> str:
        return f"read {self.corpus['read']} rows and anonymized them; nothing of it left this building"


class LeftOutEvent(SiteEvent):
    """What of the site's data has no part in a run."""

    kind = "left_out"
    unknown_labels: int = 0
    warnings: tuple[str, ...]

    @property
    def sentence(self) -> str:
        listed = [f"- {warning}" for warning in self.warnings]
        return "\n".join(("before you take part, mind this; none of it leaves this building:", *listed))


class AnsweredWithoutDataEvent(SiteEvent):
    """Something in the data as a whole failed: the coordinator got what a site without any data would send."""

    kind = "answered_without_data"
    round: int
    phase: str
    why: str

    @property
    def sentence(self) -> str:
        return (
            f"round {self.round}: FAILED ON THE DATA ({self.phase}); the coordinator got noise alone, as from a "
            f"site without data, and does not know. It is charged. Here is why:\n{self.why}"
        )


class CaughtUpEvent(SiteEvent):
    """A proof from an older size than this site saw, as a coordinator makes it that has just started."""

    kind = "caught_up"
    round: int
    seen_tree_size: int

    @property
    def sentence(self) -> str:
        return f"the coordinator was told that this site follows the log up to size {self.seen_tree_size}"


class NotTakenEvent(SiteEvent):
    """The next plan starts from the model that round `answered` started from: its update changed nothing."""

    kind = "not_taken"
    round: int
    answered: int

    @property
    def sentence(self) -> str:
        return (
            f"round {self.round} starts from the model of round {self.answered}: what this site sent there was not "
            "taken, or came too late. What it cost stays spent"
        )


class SentEvent(SiteEvent):
    """An answer was uploaded whole: so many bytes of envelope, body and payload are with the coordinator."""

    kind = "sent"
    round: int
    phase: str
    bytes: int

    @property
    def sentence(self) -> str:
        return f"round {self.round}: {self.bytes:,} bytes left this building ({self.phase})"


class TookLongerEvent(SiteEvent):
    """An answer could not leave at the time that the policy fixed."""

    kind = "took_longer"
    round: int
    seconds: float
    wanted: float

    @property
    def sentence(self) -> str:
        return (
            f"round {self.round}: the answer took {self.seconds} s, longer than policy.answer_after_seconds "
            f"({self.wanted}): when it left says something of the data"
        )


class SelfCheckEvent(SiteEvent):
    """What the anonymizer found in notes invented for this run (privacy.protocol.anonymization_check.SelfCheck)."""

    kind = "self_check"
    notes: int
    recall: dict[str, EntityRecall]
    engine_fingerprint: str = ""

    @property
    def shares(self) -> dict[str, float]:
        """The share that was found, by identifier, sorted."""
        return {name.upper(): counts.found / counts.planted for name, counts in sorted(self.recall.items())}

    @property
    def sentence(self) -> str:
        shares = ", ".join(f"{name} {share:.2f}" for name, share in self.shares.items())
        return f"self-check: {self.notes} invented notes, recall {shares}"


class NoiseFigures(_Figures):
    """privacy.leakage.noise.NoiseTest, which loads what computes it."""

    draws: int
    sigma_error: float
    worst_stream_error: float = 0.0
    mean_z: float = 0.0
    ks: float = 0.0
    tails: tuple[int, ...] = ()
    worst_correlation: float
    broken: tuple[str, ...] = ()


class SamplingFigures(_Figures):
    """privacy.leakage.sampling.SamplingTest, which loads what computes it."""

    units: int
    steps: int
    rate: float
    rate_z: float = 0.0
    batch_size_z: float = 0.0
    unit_count_z: float = 0.0
    repeat_z: float = 0.0
    broken: tuple[str, ...] = ()


class MechanismCheckEvent(SiteEvent):
    """What the self-tests of noise and sampling measured."""

    kind = "mechanism_check"
    passed: bool
    noise_multiplier: str
    sample_rate: str
    noise: NoiseFigures
    sampling: SamplingFigures

    @property
    def sentence(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        noise = self.noise
        return (
            f"mechanism check {verdict}: sigma off by {noise.sigma_error:+.1e} over {noise.draws:,} draws, "
            f"streams correlate by {noise.worst_correlation:.1e} at most; no data was read for it"
        )


class StepEvent(SiteEvent):
    """A sign of life from a long round: told, not written."""

    kind = "step"
    round: int
    step: int
    steps: int
    loss: float | None


class StepFigures(_Figures):
    """One step of training (privacy.dp.training.StepRecord, which loads torch)."""

    step: int
    batch_size: int
    mean_loss: float | None
    norm_quantiles: tuple[float, ...] = ()
    seconds: float = 0.0
    left_out: int = 0


class ChargedEvent(SiteEvent):
    """Something that was made of the data. Without an `epsilon_of_run` it was made without noise."""

    epsilon_of_run: str | None = None
    private: bool = True
    delta: str | None = None
    unit: Unit | None = None
    accountant: str | None = None
    epsilon_limit: float | None = None

    def as_json(self) -> dict[str, object]:
        """Its line: what it cost stands last."""
        line = super().as_json()
        cost = {name: line.pop(name) for name in ChargedEvent.model_fields if name in line and name not in _OF_ALL}
        return line | cost

    @property
    def ready_with(self) -> str:
        """What it is protected by."""
        if self.epsilon_of_run is None:
            return "signed, WITHOUT noise"
        return f"noised and signed; epsilon {self.epsilon_of_run} spent in this run (unit: {self.unit})"


class TrainedEvent(ChargedEvent):
    """One round of training, and what is to leave the building for it."""

    kind = "trained"
    round: int
    examples: int
    left_out: int = 0
    ran_away: bool = False
    loss: float | None
    learning_rate: str = ""
    head_learning_rate: str | None = None
    steps: tuple[StepFigures, ...] = ()
    bytes_sent: int

    @property
    def sentence(self) -> str:
        loss = f", loss {self.loss:.4f}" if self.loss is not None else ""
        trained = f"round {self.round}: trained on {self.examples} examples{loss}"
        if self.left_out:
            trained += f" ({self.left_out} left out: the plan lacks their label, or they lack what it reads)"
        if self.ran_away:
            trained += "; the numbers RAN AWAY (a learning rate too high), so the update changes nothing"
        return f"{trained}; {self.bytes_sent:,} bytes of update are ready, {self.ready_with}"


class EvaluatedEvent(ChargedEvent):
    """The exact counts, of which only noised ones were sent."""

    kind = "evaluated"
    round: int
    examples: int
    accuracy: float | None = None

    @property
    def sentence(self) -> str:
        return f"round {self.round}: counted {self.examples} examples; the counts are ready, {self.ready_with}"


class RefusedEvent(SiteEvent):
    """A no, with its sentence."""

    kind = "refused"
    round: int
    phase: str
    why: str

    @property
    def sentence(self) -> str:
        return (
            f"round {self.round}: REFUSED ({self.phase}); only a reason code leaves this building. Here is why:\n"
            f"{self.why}"
        )


class OtherEvent(SiteEvent):
    """A kind that this version does not know; its fields are kept as they are."""

    kind = "other"
    event: str

    @property
    def sentence(self) -> str:
        return self.event


Event = (
    PreparedEvent
    | LeftOutEvent
    | AnsweredWithoutDataEvent
    | CaughtUpEvent
    | NotTakenEvent
    | SentEvent
    | TookLongerEvent
    | SelfCheckEvent
    | MechanismCheckEvent
    | StepEvent
    | TrainedEvent
    | EvaluatedEvent
    | RefusedEvent
    | OtherEvent
)
KINDS: Final[Mapping[str, type[Event]]] = MappingProxyType({model.kind: model for model in get_args(Event)})


def read_event(line: Mapping[str, object]) -> Event:
    """An event of its line."""
    kind = str(line["event"])
    if kind not in KINDS:
        return OtherEvent.model_validate(line)
    return KINDS[kind].model_validate({name: value for name, value in line.items() if name != "event"})
