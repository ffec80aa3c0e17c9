# SPDX-License-Identifier: Apache-2.0
"""What record-level training costs a patient: the epsilon for all notes of the patient who has the most.

Under unit = "record" each note joins a step by itself. Taking a patient with k notes away changes the clipped sum by up
to J x max_grad_norm, where J, how many of the notes were drawn, is Binomial(k, sample_rate): a mixture of Gaussians
(Charles et al., arXiv 2407.07737). Noised counts, which read every unit, change by up to k times what one record
changes. The largest k is private: what is computed here stays at the site.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from dp_accounting.pld import privacy_loss_distribution
from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution
from scipy.stats import binom

from privacy.dp.composition import Segment, segments
from privacy.dp.params import PARTITIONS, PrivacyEvent

RDP_FALLBACK_EPSILON = 100.0
"""Above this nobody needs a figure, and a fine one takes minutes."""

_FINE, _COARSE = 1e-3, 2e-2
_MARGIN = 1.2
_LEAST_MASS = 1e-30


@dataclass(frozen=True)
class PatientEpsilon:
    """`epsilon` is an upper bound for `notes` notes of one patient; None: the bound is above RDP_FALLBACK_EPSILON."""

    notes: int
    epsilon: float | None

    def sentence(self) -> str:
        """What a reader must not miss."""
        if self.notes == 1:
            return "no patient has more than one note, so the epsilon of a record is that of a patient"
        cost = (
            f"above {RDP_FALLBACK_EPSILON:.0f}, which is none" if self.epsilon is None else f"{self.epsilon:.2f} only"
        )
        return (
            f"this protects one record; the patient with the most notes ({self.notes}) is protected by an epsilon of "
            f"{cost}: to protect patients, set policy.unit to patient"
        )


def patient_epsilon(events: Sequence[PrivacyEvent], notes: dict[str, int], delta: float) -> PatientEpsilon:
    """The epsilon at `delta` of record-level `events` for a patient with up to notes[partition] notes in a partition.

    All notes of a patient are in one partition, so the greatest of the partitions counts. Raises ValueError for a
    patient without notes.
    """
    epsilons: list[float | None] = [0.0]
    for partition in PARTITIONS:
        if (history := segments(events, partition)) and (count := notes.get(partition, 0)):
            epsilons.append(_epsilon(history, count, delta))
    most_notes = max(notes.values(), default=0)
    if most_notes < 1:
        raise ValueError("a patient has at least one note")
    known = [epsilon for epsilon in epsilons if epsilon is not None]
    return PatientEpsilon(most_notes, max(known) if len(known) == len(epsilons) else None)


@lru_cache(maxsize=64)
def _epsilon(history: tuple[Segment, ...], notes: int, delta: float) -> float | None:
    if _composed(history, notes, delta, _COARSE) > _MARGIN * RDP_FALLBACK_EPSILON:
        return None
    fine = _composed(history, notes, delta, _FINE)
    return fine if fine <= RDP_FALLBACK_EPSILON else None


def _composed(history: tuple[Segment, ...], notes: int, delta: float, interval: float) -> float:
    """An upper bound of epsilon; a wider `interval` is quicker and looser."""
    total = privacy_loss_distribution.identity(interval)
    for noise_multiplier, sample_rate, steps in history:
        step = _step(noise_multiplier, sample_rate, notes, interval)
        total = total.compose(step.self_compose(steps))
    return float(total.get_epsilon_for_delta(delta))


def _step(noise_multiplier: float, sample_rate: float, notes: int, interval: float) -> PrivacyLossDistribution:
    if sample_rate == 1:
        return privacy_loss_distribution.from_gaussian_mechanism(
            noise_multiplier / notes, value_discretization_interval=interval
        )
    counts = np.arange(notes + 1)
    masses = binom.pmf(counts, notes, sample_rate)
    likely = masses > _LEAST_MASS
    counts, masses = counts[likely], masses[likely]
    masses[-1] += max(0.0, 1.0 - masses.sum())  # what was left out counts as the most notes
    return privacy_loss_distribution.from_mixture_gaussian_mechanism(
        noise_multiplier,
        [float(count) for count in counts],
        [float(mass) for mass in masses / masses.sum()],
        value_discretization_interval=interval,
    )
