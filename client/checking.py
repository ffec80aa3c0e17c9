# SPDX-License-Identifier: Apache-2.0
"""What a site would take part with: its data as read and anonymized, its models, its policy. Nothing of it leaves."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from client.corpus import CorpusReport, load_corpus
from client.material import Material
from client.policy import PolicySection
from client.pretrained import PACKAGED_DIGEST, load_packaged, pretrained_digest
from client.settings import SiteFolder, SiteSettings
from privacy.canonical import Json
from privacy.errors import IntegrityError
from privacy.exchange.recall import fewest_found, written
from privacy.identifiers import Digest
from privacy.randomness import SEED_BYTES, SecretSeed
from privacy.settings_file import plain
from privacy.text import self_check
from privacy.text.report import AnonymizationReport

Progress = Callable[[str, int, int], None]

REHEARSED_NOTES = 60


def examine(folder: SiteFolder, site_key: SecretSeed | None, progress: Progress) -> dict[str, dict[str, Json]]:
    """Corpus, anonymization, a rehearsal of a run's self-check, models and policy, by title.

    Without a `site_key` (the site has not enrolled) the split is drawn for this once, and nothing is cached. Raises
    what reading raises: SettingsError, AnonymizationError, IntegrityError for a model whose digest is another.
    """
    found: dict[str, dict[str, Json]] = {}
    if site_key is None:
        corpus = load_corpus(folder, secrets.token_bytes(SEED_BYTES)).report
    else:
        anonymized = Material(folder, site_key, progress).anonymized()
        corpus = anonymized.corpus
        found["anonymization"] = _anonymization(anonymized.report)
    found = {"corpus": _flat(corpus.as_json())} | found
    if folder.settings.site.role == "trainer":
        found["self-check"] = _self_check(folder.settings)
    found["models"] = dict(models(folder))
    found["policy"] = _policy(folder.settings)
    if warnings := _warnings(folder.settings.policy, corpus):
        found["think again"] = dict(warnings)
    return found


def _policy(settings: SiteSettings) -> dict[str, Json]:
    floors = written(settings.policy.min_recall)
    listed = ", ".join(f"{name} {floor}" for name, floor in floors.items())
    return plain(settings.policy) | {"min_recall": listed, "policy digest": settings.policy_digest}


def _warnings(policy: PolicySection, corpus: CorpusReport) -> dict[str, str]:
    """What the policy says that this data makes doubtful. Said here alone: it tells of exact sizes."""
    units = sum((corpus.patients if policy.unit == "patient" else corpus.rows).values())
    found = {}
    if units and policy.delta * units >= 1:
        found["policy.delta"] = f"{policy.delta} is not below 1 / {units} {policy.unit}s: a whole unit could be exposed"
    if units and not units / 2 <= policy.size_bucket <= 2 * units:
        found["policy.size_bucket"] = (
            f"{policy.size_bucket} is far from the {units} {policy.unit}s here: gradients are divided by it, so "
            "a training step is too small, or too large"
        )
    return found


def models(folder: SiteFolder) -> dict[Digest, str]:
    """The pretrained models that a plan may name, each checked against its digest."""
    load_packaged()
    known = {PACKAGED_DIGEST: "all-MiniLM-L6-v2, packaged"}
    for digest, path in folder.model_folders.items():
        if pretrained_digest(path) != digest:
            raise IntegrityError(
                f"the model in {path.name} has digest {pretrained_digest(path)}, not the one that [model.paths] names",
                reason="model_mismatch",
                next_step="find out which one is right before you change either",
            )
        known[digest] = path.name
    return known


def _anonymization(report: AnonymizationReport) -> dict[str, Json]:
    found: dict[str, int] = {}
    for finding in report.findings:
        found[finding.entity_type] = found.get(finding.entity_type, 0) + finding.count
    return {
        "rows": report.rows,
        "returned": report.returned,
        **{f"refused: {reason}": count for reason, count in report.refused},
        **{f"found: {entity_type}": count for entity_type, count in sorted(found.items())},
        "characters kept": f"{report.characters_kept_fraction:.3f}",
        "from cache": report.from_cache,
        "engine": report.engine_fingerprint,
        "replacement": report.replacement_digest,
    }


def _self_check(settings: SiteSettings) -> dict[str, Json]:
    """What a run's self-check would show, on a batch for this once, beside the site's own floors."""
    floors, seed = written(settings.policy.min_recall), SecretSeed(secrets.token_bytes(SEED_BYTES))
    check = self_check.check(self_check.load_engine(settings.text), settings.text, seed, REHEARSED_NOTES, ())
    shown: dict[str, Json] = {"invented notes": check.notes}
    for name, recall in sorted(check.recall.items()):
        floor = floors.get(name, "0")
        below = "" if recall.found >= fewest_found(recall.planted, floor) else ", BELOW the floor"
        share = f"{recall.found / recall.planted:.2f} ({recall.found} of {recall.planted})"
        shown[name.upper()] = f"{share}, floor {floor}{below}"
    return shown


def _flat(counts: Mapping[str, int | dict[str, int]]) -> dict[str, Json]:
    flat: dict[str, Json] = {}
    for name, value in counts.items():
        if isinstance(value, dict):
            flat.update({f"{name}: {part}": count for part, count in sorted(value.items())})
        else:
            flat[name.replace("_", " ")] = value
    return flat
