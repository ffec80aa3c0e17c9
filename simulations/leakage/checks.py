# SPDX-License-Identifier: Apache-2.0
"""All checks in order: noise, sampling, one-run audit, inversion, matched filter, membership, one after the other.

A check passes where nothing was found that contradicts the claim. With a bug planted, those that see it fail: noise
and audit see smaller noise; sampling and audit see whom the loop draws; the audit alone sees a seed that is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final

from client.site.mechanism_check import drawn_units, zero_gradient_steps
from privacy.base.randomness import PublicSeed
from privacy.leakage import noise as noise_test
from privacy.leakage import sampling as sampling_test
from privacy.leakage.membership import bound
from privacy.leakage.one_run import Audit
from privacy.leakage.verdict import Check, CheckName
from privacy.protocol.plans import Scope
from simulations.leakage.canaries import ORDINARY, SIZE_BUCKET, HeadAudit
from simulations.leakage.matching import CANDIDATES, LEVELS, NoteMatching
from simulations.leakage.rows import RowMembership
from simulations.leakage.subject import Claim, Plant, Subject
from simulations.leakage.update import LEAST_NOISE, NO_NOISE, OTHERS, UpdateInversion

EPSILON, SAMPLE_RATE, STEPS = 1.0, 0.05, 100
CONFIDENCE: Final = 0.95
RECOVERED: Final = 0.9
"""The share of words that the inversion must find without noise, or it could not have found anything with noise."""
CHANCE: Final = 0.001
"""How rarely batches that were not trained on may do as well before the attack counts as working."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Extent:
    """How much is measured. Audits share the confidence (Bonferroni)."""

    name: str
    audits: int
    members: int
    others: int
    matched: tuple[Scope, ...]
    """Scopes whose updates the matched filter reads."""
    tries: int
    """Updates that it reads at each noise."""


QUICK: Final = Extent("quick", audits=1, members=200, others=400, matched=("head",), tries=40)
FULL: Final = Extent("full", audits=5, members=300, others=2000, matched=("head", "lora", "top"), tries=80)


class Leakage:
    """The checks of one seed, with or without a planted bug."""

    def __init__(self, seed: PublicSeed, extent: Extent, plant: Plant | None = None) -> None:
        self.extent, self.plant = extent, plant
        self.subject = Subject(seed)

    @cached_property
    def claim(self) -> Claim:
        """What the training claims: about epsilon 1."""
        return Claim.calibrated(EPSILON, SAMPLE_RATE, STEPS)

    def run(self, tell: Tell = lambda sentence: None) -> Iterator[Check]:
        """Each check as it is finished; `tell` hears what is begun."""
        begun: dict[CheckName, tuple[str, Callable[[], Check]]] = {
            "noise": ("zero-gradient steps: size, distribution and independence of the noise", self.noise),
            "sampling": ("whom the loop draws, over units that do not exist", self.sampling),
            "audit": (f"one-run audit, 1,024 canaries, trainings: {self.extent.audits}", self.audit),
            "inversion": ("inversion of an update, without noise and with it", self.inversion),
            "matching": ("which of forty notes an update was made from, at eight levels of noise", self.matching),
            "membership": ("membership by loss and against shadow models, private and plain training", self.membership),
        }
        for name, (sentence, check) in begun.items():
            tell(f"{name}: {sentence}")
            yield check()

    def noise(self) -> Check:
        """The noise self-test of the loop against the claimed noise."""
        began, claim = time.monotonic(), self.claim
        bucket, params = claim.bucket(SIZE_BUCKET, self.plant), claim.params(self.plant)
        std = float(claim.noise_multiplier) / (float(claim.sample_rate) * SIZE_BUCKET)
        result = noise_test.noise_self_test(
            lambda seed: zero_gradient_steps(params, bucket, seed, noise_test.STEPS), self.subject.secret("noise"), std
        )
        verdict = f"sigma off by {result.sigma_error:+.1e} of 1e-3 allowed" + _broken(result.broken)
        return _check("noise", result.passed, verdict, _figures(asdict(result)), began)

    def sampling(self) -> Check:
        """The sampling self-test of the loop against the claimed rate."""
        began, claim = time.monotonic(), self.claim
        bucket, params = claim.bucket(SIZE_BUCKET, self.plant), claim.params(self.plant)
        seed = self.subject.secret("sampling")
        result = sampling_test.sampling_self_test(
            lambda steps, units: drawn_units(params, bucket, seed, steps, units), float(claim.sample_rate)
        )
        verdict = f"{result.rate:.4f} of the units in a step, {claim.sample_rate} claimed" + _broken(result.broken)
        return _check("sampling", result.passed, verdict, _figures(asdict(result)), began)

    def audit(self) -> Check:
        """The greatest lower bound of all audits against the claimed epsilon."""
        began, attempts = time.monotonic(), self.extent.audits
        audit = HeadAudit(self.subject, self.claim, ordinary=ORDINARY)
        confidence = 1 - (1 - CONFIDENCE) / attempts
        audits: list[Audit] = [audit.run(attempt, self.plant, confidence) for attempt in range(attempts)]
        best = max(audits, key=lambda one: one.epsilon_lower)
        verdict = f"epsilon is at least {best.epsilon_lower:.2f}, {best.epsilon_claimed:.2f} claimed"
        if best.refuted:
            verdict = f"REFUTED: {verdict}"
        figures = _figures(asdict(best)) | {"audits": attempts, "confidence": CONFIDENCE}
        return _check("audit", not best.refuted, verdict, figures, began)

    def inversion(self) -> Check:
        """The span check without noise, where it must succeed, and with the least noise, where it must not."""
        began = time.monotonic()
        attack = UpdateInversion(self.subject, OTHERS)
        bare, noised = attack.run(NO_NOISE), attack.run(LEAST_NOISE)
        works, hidden = bare.recovered >= RECOVERED, noised.p_value >= CHANCE
        verdict = (
            f"{bare.recovered:.1%} of {bare.words} words recovered from a clipped update, {noised.recovered:.1%} with "
            f"noise {noised.noise_multiplier} (chance: {noised.chance:.1%})"
        )
        figures = {f"clipped_only_{name}": value for name, value in asdict(bare).items() if name != "noise_multiplier"}
        figures |= {f"noised_{name}": value for name, value in asdict(noised).items()}
        return _check("inversion", works and hidden, verdict, _figures(figures), began)

    def matching(self) -> Check:
        """The matched filter without noise, where it must succeed, and with noise against what that noise allows."""
        began, figures = time.monotonic(), dict[str, object](candidates=CANDIDATES, tries=self.extent.tries)
        works, holds, rates = True, True, []
        for scope in self.extent.matched:
            attack = NoteMatching(self.subject, scope)
            matched = [attack.run(level, self.extent.tries) for level in LEVELS]
            works &= matched[0].rate >= RECOVERED
            holds &= all(one.holds for one in matched)
            for one in matched:
                figures |= {
                    f"{scope}_{one.noise_multiplier}_{name}": getattr(one, name) for name in ("rate", "mean_rank")
                }
                figures[f"allowed_{one.noise_multiplier}"] = one.allowed
            rates.append(f"{scope}: " + ", ".join(f"{one.rate:.1%} at {one.noise_multiplier}" for one in matched[1:]))
        verdict = (
            f"of {CANDIDATES} notes the right one named (chance: {1 / CANDIDATES:.1%}), by noise: {'; '.join(rates)}"
        )
        return _check("matching", works and holds, verdict, _figures(figures), began)

    def membership(self) -> Check:
        """Both attacks on a private model against what epsilon allows, with a plain model's figures beside them."""
        began, claim = time.monotonic(), self.claim
        rows = RowMembership(self.subject, claim, self.extent.members, self.extent.others)
        private, plain = rows.private(self.plant), rows.plain()
        allowed = bound(claim.epsilon, claim.delta)
        verdict = (
            f"{private.by_loss.tpr:.1%} of the rows at 1% false alarms, {private.by_shadows.tpr:.1%} with shadow "
            f"models ({allowed:.1%} allowed); without privacy {plain.by_loss.tpr:.1%} and {plain.by_shadows.tpr:.1%}"
        )
        figures: dict[str, object] = {"tpr_allowed": allowed}
        for name, one in (("private", private), ("plain", plain)):
            for way, attacked in (("loss", one.by_loss), ("shadows", one.by_shadows)):
                figures |= {f"{name}_{way}_{key}": value for key, value in asdict(attacked).items()}
            figures |= {f"{name}_train_accuracy": one.train_accuracy, f"{name}_other_accuracy": one.other_accuracy}
        holds = max(private.by_loss.low, private.by_shadows.low) <= allowed
        return _check("membership", holds, verdict, _figures(figures), began)


def _check(name: CheckName, passed: bool, verdict: str, figures: dict[str, Figure], began: float) -> Check:
    return Check(name, passed, verdict, figures, time.monotonic() - began)


def _broken(names: tuple[str, ...]) -> str:
    return f"; FAILED: {', '.join(names)}" if names else ""


Figure = float | int | str | bool | None


def _figures(values: Mapping[str, object]) -> dict[str, Figure]:
    """Plain values for a report: a sequence as text."""
    return {
        name: value if isinstance(value, float | int | str | bool | None) else ", ".join(map(str, _listed(value)))
        for name, value in values.items()
    }


def _listed(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)
