# SPDX-License-Identifier: Apache-2.0
"""A site's own auditor trains a past round again and compares what comes out with what was sent.

Nothing is charged, nothing is sent, nothing of the site's record changes. The round follows from the site's key, the
attempt's nonce, the plan, the input model and the data; the digest that was signed says whether it is the same. Floats
repeat only on what they were computed on: where that differs the replay says so, and does not call it a fault.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from client.data.chain import StageProgress
from client.enrolment import own_enrolment, site_key_if_any
from client.learning.model import device
from client.settings.site_settings import SiteFolder
from client.site import guard
from client.site.attempts import Attempt, Computation, computation, records_digest
from client.site.payload import encode_update
from client.site.pipeline import SitePipeline
from client.site.state import SiteState
from privacy.base.canonical import digest_of
from privacy.base.errors import CollabError, ContractError, IntegrityError
from privacy.base.files import read_bounded
from privacy.base.identifiers import Digest, RunId, SiteId, sha256
from privacy.base.randomness import SecretSeed
from privacy.dp.ledger import Ledger
from privacy.log.keys import VerifyKey
from privacy.protocol.entries import RunOpened
from privacy.protocol.messages import SignedMessage, SiteUpdate, open_message, parse
from privacy.update.delta import model_vector

Verdict = Literal["same", "differs", "cannot_compare"]

EXIT_CODES: dict[Verdict, int] = {"same": 0, "differs": 1, "cannot_compare": 2}
MOST_MODEL_BYTES = 8 << 30
OTHER_UPDATE = "key, plan, model, records and machine are those of then, and they give another update than was sent"
WITHOUT_DATA = "it was trained without any data: the site's data failed in that round, as its report of the run says"
OTHER_RECORDS = "what the site would train on is not what it was then: its texts, labels, split or anonymizer changed"


@dataclass(frozen=True)
class Replayed:
    """What a replay found. `attempt` of `attempts` is the one that was sent; `why` are sentences for the auditor."""

    site: SiteId
    run_id: RunId
    server_round: int
    verdict: Verdict
    why: tuple[str, ...]
    attempt: int | None = None
    attempts: int = 0
    sent: Digest | None = None
    again: Digest | None = None
    seconds: float | None = None

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        which = f"round {self.server_round} of {self.run_id} at {self.site}"
        if self.verdict == "cannot_compare":
            return f"CANNOT COMPARE {which}:"
        attempt = f"attempt {self.attempt} of {self.attempts}, " if self.attempt is not None else ""
        if self.verdict == "same":
            return f"SAME: {which}, {attempt}trained again in {self.seconds} s, gives what was sent: {self.sent}"
        return (
            f"DIFFERS: {which}, {attempt}sent as {self.sent}, {f'now {self.again}' if self.again else 'not repeated'}:"
        )

    def as_json(self) -> dict[str, object]:
        """All of it as one JSON object."""
        return asdict(self)


class _Ended(Exception):
    """The verdict is known before the end."""

    def __init__(self, verdict: Verdict, *why: str) -> None:
        super().__init__(verdict)
        self.verdict, self.why = verdict, why


@dataclass(frozen=True)
class _Settled:
    """The attempt whose update was sent."""

    number: int
    attempt: Attempt
    asked: Digest
    seed: SecretSeed
    update: SiteUpdate


def _answered(state: SiteState, written: Sequence[tuple[Digest, bytes]]) -> tuple[Digest, SignedMessage]:
    """The plan's digest and the update of the attempt that was answered."""
    for digest, _ in written:
        if (reply := state.reply(digest, "update")) is not None:
            return digest, reply
    raise _Ended("cannot_compare", f"none of {len(written)} attempts was answered: nothing was sent")


class Replay:
    """The rounds of one site, to be trained again. `progress` is told of rows."""

    def __init__(self, folder: SiteFolder, progress: StageProgress = lambda what, done, total: None) -> None:
        self._folder, self._progress = folder, progress

    def round(self, run_id: RunId, server_round: int, model: Path | None = None) -> Replayed:
        """Train round `server_round` of `run_id` again; its input model is read from `model` if that is given.

        Whatever keeps it from a comparison is a verdict, not an error.
        """
        base = Replayed(self._folder.name, run_id, server_round, "cannot_compare", ())
        if not self._folder.state.exists():
            return _with(base, why=("this site has taken part in nothing yet",))
        state = SiteState(self._folder.state)
        try:
            settled, attempts = self._settled(state, run_id, server_round)
            replayed = _with(
                base, attempt=settled.number, attempts=attempts, sent=settled.update.payload_digest, verdict="same"
            )
        except _Ended as ended:
            return _with(base, verdict=ended.verdict, why=ended.why)
        except IntegrityError as error:
            return _with(base, verdict="differs", why=(f"the record changed: {error.message}",))
        except CollabError as error:
            return _with(base, why=(error.message,))
        finally:
            state.close()
        try:
            return self._compare(replayed, settled, model)
        except _Ended as ended:
            return _with(replayed, verdict=ended.verdict, why=ended.why)
        except CollabError as error:
            return _with(replayed, verdict="cannot_compare", why=(error.message,))

    # -- the record ----------------------------------------------------------------------------------------------------

    def _settled(self, state: SiteState, run_id: RunId, server_round: int) -> tuple[_Settled, int]:
        """The attempt that was sent, and how many there were. Its seed's commitment is in the signed update."""
        written = state.attempts(run_id, server_round)
        if not written:
            raise _Ended(
                "cannot_compare",
                f"no attempt at round {server_round} of {run_id} is written down here: it was not trained at this "
                "site, or before the site kept what a replay needs",
            )
        request_digest, reply = _answered(state, written)
        update = open_message(reply, SiteUpdate, VerifyKey.from_hex(own_enrolment(self._folder).keys.signing))
        if sha256(reply.payload) != update.payload_digest:
            raise _Ended("differs", "the stored payload is not the one that was signed: the record changed")
        context = f"{run_id}|{server_round}|{self._folder.name}"
        for number, digest, attempt, seed in self._attempts(written):
            if digest == request_digest and seed.commit(context) == update.secret_seed_commitment:
                self._check_charged(attempt, request_digest)
                return _Settled(number, attempt, request_digest, seed, update), len(written)
        raise _Ended(
            "differs",
            "no nonce that is written down gives, with this site's key, the seed that was committed to: the key or the "
            "record changed",
        )

    def _attempts(self, written: Sequence[tuple[Digest, bytes]]) -> Iterator[tuple[int, Digest, Attempt, SecretSeed]]:
        """Each attempt that is written down: its number, its plan's digest, itself, and the seed of its nonce."""
        key = self._site_key()
        for number, (digest, encoded) in enumerate(written, start=1):
            attempt = parse(Attempt, encoded)
            if digest_of(attempt.plan) != digest:
                raise _Ended("differs", "a plan is not the one that was written down: the record changed")
            yield number, digest, attempt, SecretSeed.for_attempt(key, bytes.fromhex(attempt.nonce), digest)

    def _site_key(self) -> SecretSeed:
        key = site_key_if_any(self._folder)
        if key is None:
            raise _Ended("cannot_compare", "the site has no keys: restore its folder keys/ from its backup")
        return key

    def _check_charged(self, attempt: Attempt, request_digest: Digest) -> None:
        """A private attempt has its nonce in the ledger, under the plan that it answered."""
        if attempt.plan.privacy is None:
            return
        rows = Ledger(self._folder.ledger).history(self._folder.settings.data.dataset, attempt.plan.unit)
        if not any((row.nonce.hex(), row.plan_digest) == (attempt.nonce, request_digest) for row in rows):
            raise _Ended("differs", "the ledger holds no charge for the attempt that was sent: one of them changed")

    # -- the comparison ------------------------------------------------------------------------------------------------

    def _compare(self, replayed: Replayed, settled: _Settled, model: Path | None) -> Replayed:
        began = time.monotonic()
        device.prepare(self._folder.settings.compute)
        then, now = settled.attempt.computation, computation(self._folder.settings.compute)
        if unlike := forbidding(then, now):
            raise _Ended("cannot_compare", *unlike)
        data, key = self._input(settled.attempt, model), self._site_key()
        pipeline = SitePipeline(self._folder, key, self._progress)
        same_records = (
            records_digest(pipeline.records.anonymized().records["train"], key) == settled.attempt.records_digest
        )
        try:
            again = self._again(pipeline, settled, data)
        except ContractError as error:
            if same_records:
                raise
            raise _Ended("differs", OTHER_RECORDS, error.message) from None
        replayed = _with(replayed, again=again, seconds=round(time.monotonic() - began, 1))
        if again == settled.update.payload_digest:
            return replayed
        if (nothing := self._again(pipeline.without_data(), settled, data)) == settled.update.payload_digest:
            return _with(replayed, again=nothing, why=(WITHOUT_DATA,))
        if not same_records:
            return _with(replayed, verdict="differs", why=(OTHER_RECORDS,))
        if doubts := doubtful(then, now):
            return _with(replayed, verdict="cannot_compare", why=doubts)
        return _with(replayed, verdict="differs", why=(OTHER_UPDATE,))

    def _input(self, attempt: Attempt, model: Path | None) -> bytes:
        """The round's input model, checked."""
        digest = attempt.plan.model_digest
        if model is not None:
            data: bytes | None = read_bounded(model, MOST_MODEL_BYTES)
        else:
            state = SiteState(self._folder.state)
            data = state.model(digest)
            state.close()
        if data is None:
            raise _Ended(
                "cannot_compare",
                f"the input model is not kept any more: give it with --model; it is blobs/{digest} of the audit log",
            )
        if sha256(data) != digest:
            raise _Ended("cannot_compare", f"this is not the round's input model, whose SHA-256 is {digest}")
        return data

    def _again(self, pipeline: SitePipeline, settled: _Settled, model: bytes) -> Digest:
        """The digest of the payload that comes out now."""
        plan = settled.attempt.plan
        opened = self._opened(plan.run_id)
        contract, initial = pipeline.models.contract(plan, opened.public_seed)
        guard.check_contract(plan, opened, contract, initial)
        model_in = model_vector(contract, model)
        trained = pipeline.train(plan, contract, opened.public_seed, model_in, settled.seed, lambda record: None)
        return sha256(encode_update(plan, self._folder.name, trained.vector, model_in))

    def _opened(self, run_id: RunId) -> RunOpened:
        state = SiteState(self._folder.state)
        opened = state.run(run_id)
        state.close()
        if opened is None:
            raise _Ended("cannot_compare", f"the opening of {run_id} is not in the site's state")
        return opened


def _with(replayed: Replayed, **changes: object) -> Replayed:
    return Replayed(**(asdict(replayed) | changes))  # type: ignore[arg-type]


def forbidding(then: Computation, now: Computation) -> tuple[str, ...]:
    """Why a replay on `now` cannot be compared with a round computed on `then`; one sentence a difference."""
    mend = {
        "device": "replay on the device of then (compute.device)",
        "threads": f"set compute.threads = {then.threads}",
        "deterministic": "replay with the version of collab that trained the round",
        "cpu_capability": f"set ATEN_CPU_CAPABILITY={_capability(then)}, on a processor that has it",
    }
    reasons = [
        f"{name} was {getattr(then, name)} and is {getattr(now, name)}: {how}"
        for name, how in mend.items()
        if getattr(then, name) != getattr(now, name)
    ]
    if then.software.get("torch") != now.software.get("torch"):
        reasons.append(
            f"torch was {then.software.get('torch')} and is {now.software.get('torch')}: install the one of then"
        )
    return tuple(reasons)


def _capability(then: Computation) -> str:
    """The value of ATEN_CPU_CAPABILITY that asks for these instructions."""
    return then.cpu_capability.lower() if then.cpu_capability != "NO AVX" else "default"


def doubtful(then: Computation, now: Computation) -> tuple[str, ...]:
    """What else is not as it was then: it may be why the bits differ, or not."""
    reasons = []
    if then.processor != now.processor:
        reasons.append(f"the processor was {then.processor} and is {now.processor}: use the one of then to be sure")
    for what, before, after in (
        ("the variable", then.switches, now.switches),
        ("the version of", then.software, now.software),
    ):
        reasons += [
            f"{what} {name} was {before.get(name, 'not set')} and is {after.get(name, 'not set')}: restore it"
            for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)
        ]
    return tuple(reasons)
