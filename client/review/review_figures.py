# SPDX-License-Identifier: Apache-2.0
"""What a review found, in figures: told at the site, and released only by its people, as a commitment or in figures.

Rules: nothing is sent; a released file is written into `released/` for somebody to send; it never says how many rows
the site has; a commitment is an HMAC under a fresh salt, which stays here with the figures so that the site can open
it; figures are written only where the site's policy allows it, and only of a whole sample.
"""

from __future__ import annotations

import hmac
import math
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from client.review.residual import ERROR, residual
from client.review.review_sample import Sample
from client.review.site_files import write
from client.settings.site_settings import SiteFolder
from privacy.base.canonical import Json, canonical_bytes, decimal_string
from privacy.base.errors import PlanRefused, SettingsError
from privacy.base.identifiers import Digest

Form = Literal["commitment", "figures"]
SALT_BYTES: Final = 32
DOMAIN: Final = b"collab review figures v1\n"


def figures(sample: Sample) -> dict[str, Json]:
    """The figures as canonical JSON: real numbers are decimal strings, rates are of documents, bounds one-sided."""
    strata = sample.strata()
    estimate = residual(strata)
    return {
        "design": sample.design,
        "rows_in_sample": len(sample.rows),
        "reviewed": sum(stratum.reviewed for stratum in strata),
        "skipped": sum(stratum.skipped for stratum in strata),
        "documents_with_missed": sum(stratum.leaking for stratum in strata),
        "missed_identifiers": sum(stratum.missed for stratum in strata),
        "residual_leak_rate": _decimal(estimate.rate),
        "upper_bound": _decimal(estimate.upper),
        "confidence": decimal_string(1 - ERROR),
        "bound": "one-sided Clopper-Pearson",
        "missed_per_document": _decimal(estimate.missed_per_document),
        "earlier_draws": sample.earlier_draws,
        "replacement": sample.replacement,
        "complete": estimate.complete,
    }


def at_home(sample: Sample) -> dict[str, Json]:
    """The figures with what only the site may know: its strata in exact sizes, and its engine."""
    strata: list[Mapping[str, Json]] = [
        {
            "name": stratum.name,
            "rows": stratum.rows,
            "drawn": stratum.drawn,
            "reviewed": stratum.reviewed,
            "skipped": stratum.skipped,
            "documents_with_missed": stratum.leaking,
            "missed_identifiers": stratum.missed,
        }
        for stratum in sample.strata()
    ]
    return figures(sample) | {"strata": strata, "engine_fingerprint": sample.engine_fingerprint}


def in_short(sample: Sample) -> dict[str, str]:
    """The main figures, by name, for a table."""
    strata = sample.strata()
    estimate = residual(strata)
    unknown = "not known yet"
    return {
        "sample": f"{len(sample.rows)} rows, {sample.design}, {sample.earlier_draws} drawn before it",
        "reviewed": f"{sum(s.reviewed for s in strata)}, skipped {sum(s.skipped for s in strata)}",
        "documents with something missed": str(sum(s.leaking for s in strata)),
        "missed identifiers": str(sum(s.missed for s in strata)),
        "residual leak rate": unknown if estimate.rate is None else f"{estimate.rate:.2%} of documents",
        "95 % upper bound, one-sided": f"{_up(estimate.upper)} of documents",
        "missed a document": unknown if estimate.missed_per_document is None else f"{estimate.missed_per_document:.3f}",
    }


def sentence(sample: Sample) -> str:
    """The result in a sentence that a privacy officer can sign."""
    strata = sample.strata()
    estimate = residual(strata)
    reviewed, leaking = sum(s.reviewed for s in strata), sum(s.leaking for s in strata)
    if estimate.rate is None:
        return f"{reviewed} of {len(sample.rows)} rows reviewed: too few to say anything yet."
    words = (
        f"{leaking} of {reviewed} reviewed documents held something that was missed. "
        f"Residual leak rate: {estimate.rate:.2%} of documents, "
        f"with 95 % confidence (one-sided) at most {_up(estimate.upper)}; "
        f"{estimate.missed_per_document:.3f} missed identifiers a document. "
        "It counts what this reviewer saw: what a reader overlooks is not in it."
    )
    if not estimate.complete:
        words = f"So far, and still moving (not every row has an answer): {words}"
    return words


def commitment(sample: Sample, salt: bytes) -> Digest:
    """HMAC-SHA256 under `salt` (32 random bytes, fresh, kept at the site) over the site's own figures."""
    if len(salt) != SALT_BYTES:
        raise ValueError("the salt of a commitment is 32 bytes")
    return hmac.new(salt, DOMAIN + canonical_bytes(at_home(sample)), "sha256").hexdigest()


def release(folder: SiteFolder, sample: Sample, form: Form) -> Path:
    """Write what may be sent into `released/`, and return its path.

    Raises SettingsError while a row has no answer, PlanRefused for figures that the policy does not allow.
    """
    waiting = sum(row.answer == "open" for row in sample.rows)
    if waiting:
        raise SettingsError(
            f"{waiting} of {len(sample.rows)} rows have no answer yet; nothing was released",
            next_step=f"collab-client --site {folder.name} review-sample",
        )
    if form == "figures" and not folder.settings.policy.release_review_figures:
        raise PlanRefused(
            f"the policy of {folder.name} does not allow its review figures to leave; nothing was released",
            reason="policy",
            next_step="release a commitment, or set policy.release_review_figures = true knowingly and enroll again",
        )
    path = folder.released / f"review-{form}.json"
    body: dict[str, Json] = {"kind": f"review_{form}", "version": 1, "site": folder.name}
    if form == "figures":
        body |= figures(sample)
    else:
        salt = secrets.token_bytes(SALT_BYTES)
        body["commitment"] = commitment(sample, salt)
        opening = {"salt": salt.hex(), "commitment": body["commitment"], "figures": at_home(sample)}
        write(folder, folder.reports / "review-opening.json", canonical_bytes(opening) + b"\n")
    write(folder, path, canonical_bytes(body) + b"\n")
    return path


def _up(share: float) -> str:
    """A bound in percent, rounded up: it must not become a smaller one."""
    return f"{math.ceil(share * 10_000 - 1e-9) / 100:.2f} %"


def _decimal(value: float | None) -> str | None:
    return None if value is None else decimal_string(round(value, 6))
