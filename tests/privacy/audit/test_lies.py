# SPDX-License-Identifier: Apache-2.0
"""Lies under good signatures: by a coordinator who holds the log's key, and by a site that signs what is not so.

The log is sound as a tree; what it says is not possible. Each lie is found at the entry that tells it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from privacy.audit.recomputation import replay
from privacy.audit.verification import verify
from privacy.log.keys import SigningKey
from privacy.log.note import NoteKey

Change = Callable[[Any], Any]

OTHER_LOG = NoteKey("collab/woods", SigningKey(b"\x03" * 32).verify_key()).vkey()
"""A log of the same name, under another key."""


def set_to(**values: Any) -> Change:
    return lambda body: body.model_copy(update=values)


def nested(field: str, **values: Any) -> Change:
    return lambda body: body.model_copy(update={field: getattr(body, field).model_copy(update=values)})


def other_bucket(plan: Any) -> Any:
    """Another size of a site than it was admitted with; its weight stays."""
    member = plan.cohort["alder"].model_copy(update={"size_bucket": 3000})
    return plan.model_copy(update={"cohort": {**plan.cohort, "alder": member}})


def heavier(body: Any) -> Any:
    member = body.cohort["birch"].model_copy(update={"weight": 5000})
    return body.model_copy(update={"cohort": {**body.cohort, "birch": member}})


def other_key(body: Any) -> Any:
    stranger = body.roster["birch"].model_copy(update={"signing_key": SigningKey(b"\x0d" * 32).verify_key().hex()})
    return body.model_copy(update={"roster": {**body.roster, "birch": stranger}})


def fewer_events(body: Any) -> Any:
    return nested("spent", events=body.spent.events[:-1])(body)


def invented_event(body: Any) -> Any:
    event = body.spent.events[0].model_copy(update={"noise_multiplier": "9"})
    return nested("spent", events=(*body.spent.events, event))(body)


def checked(**counts: int | None) -> Change:
    """A self-check with other counts, given as identifier_found or identifier_planted; None leaves one out."""

    def change(body: Any) -> Any:
        recall = dict(body.self_check.recall)
        for key, count in counts.items():
            name, _, field = key.rpartition("_")
            if count is None:
                recall.pop(name)
            else:
                recall[name] = recall[name].model_copy(update={field: count})
        return nested("self_check", recall=recall)(body)

    return change


# place -> (what is said, the entry that is wrong, a word of the finding); entries: see the story in conftest.py
LIES: dict[str, tuple[str, Change, int, str]] = {
    "settings that are not those of the digest": ("opened", set_to(settings_digest="0" * 64), 0, "settings"),
    "another key for a site": ("opened", other_key, 2, "signature of birch"),
    "a site of another size": ("hello/birch", set_to(size_bucket=9000), 2, "not what it was admitted as"),
    "an answer to another opening": ("hello/alder", set_to(context_digest="0" * 64), 1, "another opening"),
    "a real site in a simulated run": ("hello/alder", set_to(simulated=False), 1, "simulated"),
    "a model that nobody computed": ("plan/2", set_to(model_digest="0" * 64), 18, "not the newest"),
    "another contract": ("plan/1", set_to(contract_digest="0" * 64), 9, "contract"),
    "a round out of order": ("plan/1", set_to(server_round=2), 9, "next round"),
    "more rounds than opened": ("plan/1", set_to(planned_rounds=3), 9, "opened for 2 rounds"),
    "another run": ("plan/1", set_to(run_id="autumn"), 9, "another run"),
    "weights that overflow": ("plan/1", heavier, 9, "31 bits"),
    "a bucket that was not admitted": ("plan/1", other_bucket, 9, "the size bucket of alder is not the one"),
    "less noise than the run was opened with": (
        "plan/1",
        nested("privacy", noise_multiplier="0.9"),
        9,
        "noise multiplier",
    ),
    "a target that cannot be kept": ("plan/1", nested("privacy", target_epsilon="0.5"), 9, "promises 0.5"),
    "epsilon understated": ("update/2/alder", nested("spent", epsilon="0.1"), 19, "is claimed"),
    "a release left out": ("update/2/alder", fewer_events, 19, "lack a release"),
    "a release that nobody asked for": ("update/1/birch", invented_event, 11, "no plan of this run"),
    "another unit": ("update/1/alder", nested("spent", unit="record"), 10, "unit record"),
    "another delta": ("update/1/alder", nested("spent", delta="0.1"), 10, "at delta"),
    "no privacy in a private run": ("update/1/alder", set_to(spent=None), 10, "missing for one that is"),
    "an update to another plan": ("update/1/alder", set_to(plan_digest="0" * 64), 10, "another plan"),
    "fewer steps": ("update/1/alder", set_to(num_steps=1), 10, "steps"),
    "another encoding": ("update/1/alder", nested("encoding", scale_log2=21), 10, "encoding"),
    "recall below the plan's floor": ("update/1/alder", checked(person_found=240), 10, "240 of 290 were found"),
    "an identifier with a floor left out": ("update/1/birch", checked(us_ssn_found=None), 11, "not measured"),
    "more found than planted": ("update/1/alder", checked(url_found=10), 10, "more values were found than planted"),
    "too few planted to judge": ("update/1/alder", checked(us_ssn_found=9, us_ssn_planted=9), 10, "9 values"),
    "fewer notes than asked for": ("update/2/birch", nested("self_check", notes=29), 20, "29 notes were checked"),
    "better figures in a later round": ("update/2/alder", checked(person_found=290), 19, "two self-checks"),
    "noise tested with other parameters": (
        "update/1/alder",
        nested("mechanism_check", noise_multiplier="2"),
        10,
        "the mechanism check of alder: other parameters",
    ),
    "no test of the sampling": ("update/2/birch", nested("mechanism_check", tests=("noise_sigma",)), 20, "a test is"),
    "a tolerance of one percent": (
        "update/1/birch",
        nested("mechanism_check", sigma_tolerance="0.01"),
        11,
        "sigma may be off",
    ),
    "too few draws to see sigma": ("update/1/alder", nested("mechanism_check", noise_draws=9), 10, "draws are needed"),
    "no mechanism check": ("update/1/alder", set_to(mechanism_check=None), 10, "just where noise is planned"),
    "a plan with lower floors than the run": (
        "plan/1",
        nested("anonymization", min_recall={"person": "0.1"}),
        9,
        "not the one the run opened with",
    ),
    "a plan with fewer notes than the run": ("plan/2", nested("anonymization", self_check_notes=1), 18, "opened with"),
    "an update changed after it was signed": (
        "entry/update_received/1",
        nested("update", payload_digest="0" * 64),
        10,
        "not the one that alder signed",
    ),
    "an update in another site's name": ("entry/update_received/1", set_to(site="birch"), 10, "birch"),
    "an update of a stranger": ("entry/update_received/1", set_to(site="dogwood"), 10, "no plan asked dogwood"),
    "an envelope of another round": ("envelope/site_update/1/alder", set_to(server_round=2), 10, "about another"),
    "an envelope of another phase": ("envelope/site_update/1/alder", set_to(phase="evaluate"), 10, "about another"),
    "an envelope about another plan": (
        "envelope/site_update/1/alder",
        set_to(context_digest="0" * 64),
        10,
        "another plan",
    ),
    "a forged envelope": ("envelope/site_update/1/alder", set_to(signature="00" * 64), 10, "signature of alder"),
    "a truncated signature": ("envelope/site_update/1/alder", set_to(signature=""), 10, "signature of alder"),
    "a refusal that the site never made": (
        "envelope/refusal/1/birch",
        set_to(signature="11" * 64),
        15,
        "signature of birch",
    ),
    "an update received and left out": ("aggregated/1", set_to(included=("alder",)), 12, "included"),
    "an update never received": ("aggregated/1", set_to(included=("alder", "birch", "cedar")), 12, "included"),
    "weights that do not sum up": ("aggregated/1", set_to(total_weight=7), 12, "sum to 5"),
    "another model before": ("aggregated/1", set_to(model_in="0" * 64), 12, "another model"),
    "another plan aggregated": ("aggregated/2", set_to(plan_digest="0" * 64), 21, "another plan"),
    "an evaluation of an older model": ("evaluation/2", set_to(model_digest="0" * 64), 22, "not the newest"),
    "counts with less noise": ("evaluation/1", set_to(noise_multiplier="0.1"), 13, "noise multiplier"),
    "counts with no noise at all": ("evaluation/1", set_to(noise_multiplier="0"), 13, "no positive number"),
    "counts without noise in a private run": ("evaluation/1", set_to(noise_multiplier=None), 13, "without noise"),
    "a site evaluated that was never there": ("evaluation/0", set_to(sites=("alder", "dogwood")), 4, "not ready"),
    "noise that was left out": ("metrics/1/alder", set_to(noise_std="0"), 14, "bear noise of 0"),
    "noise that was made smaller": ("metrics/1/alder", set_to(noise_std="8.99"), 14, "bear noise of 8.99"),
    "noise that was made larger": ("metrics/1/alder", set_to(noise_std="9.01"), 14, "bear noise of 9.01"),
    "counts above the declared size": ("metrics/1/alder", set_to(correct=4 * 300 + 16 * 9 + 1), 14, "is larger"),
    "a class above the declared size": ("metrics/1/alder", set_to(predicted=(0, 0, -1345)), 14, "is larger"),
    "an evaluator's negative count": ("metrics/0/cedar", set_to(incorrect=-1), 7, "negative"),
    "a plan that departs in its task": ("plan/1", nested("task", max_tokens=65), 9, "departs"),
    "a plan that departs in its training": ("plan/2", nested("training", momentum="0.8"), 18, "training"),
    "a plan that departs in its clip norm": ("plan/1", set_to(update_clip_norm="0.4"), 9, "update_clip_norm"),
    "an evaluation that departs in its task": ("evaluation/1", nested("task", counted=3), 13, "departs"),
    "an evaluation of other figures": ("evaluation/1", set_to(figures="accuracy"), 13, "figures"),
    "an outline with other rounds": ("opened", nested("outline", planned_rounds=3), 0, "other rounds or noise"),
    "an answer written for another log": (
        "envelope/site_update/1/alder",
        set_to(log_vkey=OTHER_LOG),
        10,
        "another federation",
    ),
    "an answer written for another site": (
        "envelope/site_update/1/alder",
        set_to(recipient="birch"),
        10,
        "somebody else",
    ),
    "another reason than the site signed": ("entry/reply_refused/1", set_to(reason="bug"), 15, "what birch signed"),
    "a refusal's body that was not signed": (
        "entry/reply_refused/1",
        nested("refusal", seen_tree_size=3),
        15,
        "not the one that birch signed",
    ),
    "counts of another number of labels": ("metrics/1/alder", set_to(right=(1, 2)), 14, "one count a label"),
    "a better accuracy": ("evaluated/2", set_to(accuracy="0.99"), 26, "the counts give"),
    "a better macro-F1": ("evaluated/0", set_to(macro_f1="0.99"), 8, "the counts give"),
    "a site's counts left out": ("evaluated/2", set_to(sites=("alder", "birch")), 26, "scored"),
    "another final model": ("closed", set_to(final_model="0" * 64), 27, "final model"),
    "an end that no figure asks for": ("closed", set_to(outcome="early"), 27, "ended early"),
    "more rounds than there were": ("closed", set_to(rounds_aggregated=3), 27, "2 rounds were aggregated"),
}


@pytest.mark.parametrize("lie", list(LIES))
def test_a_lie_under_good_signatures_is_found_at_its_entry(
    build_log: Callable[..., Path], tmp_path: Path, lie: str
) -> None:
    place, change, index, words = LIES[lie]
    told = []

    def edit(at: str, value: Any) -> Any:
        if at != place or (told and place.startswith("entry/")):
            return value
        told.append(at)
        return change(value)

    try:
        folder = build_log(tmp_path / "log", edit)
    except Exception as error:
        pytest.fail(f"the lie could not be told: {error}")
    assert told
    report = verify(folder, expected_key=None)
    assert report.exit_code == 4
    assert any(finding.index == index and words in finding.message for finding in report.findings), report.findings
    assert min(finding.index for finding in report.findings if finding.index is not None) == index


LEFT_OUT = {
    "an update": ("entry/update_received/1", 11, "neither an answer nor a refusal is logged of alder"),
    "a refusal": ("entry/reply_refused/1", 16, "neither an answer nor a refusal is logged of birch"),
    "the counts of a site": ("entry/metrics_received/0", 7, "neither an answer nor a refusal is logged of alder"),
    "the sum of a round": ("entry/round_aggregated/1", 12, "the phase before was not finished"),
    "the figures of a round": ("entry/round_evaluated/1", 17, "the phase before was not finished"),
    "the plan of a round": ("entry/round_planned/1", 9, "no plan asked alder"),
    "the plan of an evaluation": ("entry/evaluation_planned/2", 22, "no plan asked alder"),
    "the opening": ("entry/run_opened/0", 0, "no opening"),
    "the end of a site's greeting": ("entry/site_ready/0", 3, "not ready"),
}


@pytest.mark.parametrize("what", list(LEFT_OUT))
def test_what_a_coordinator_leaves_out_is_missed(build_log: Callable[..., Path], tmp_path: Path, what: str) -> None:
    place, index, words = LEFT_OUT[what]
    dropped = []

    def edit(at: str, value: Any) -> Any:
        if at == place and not dropped:
            dropped.append(at)
            return None
        return value

    report = verify(build_log(tmp_path / "log", edit), expected_key=None)
    assert report.exit_code == 4
    first = min(report.findings, key=lambda finding: finding.index if finding.index is not None else -1)
    assert first.index == index
    assert any(words in finding.message for finding in report.findings), report.findings


def test_an_attempt_that_crashed_and_stays_charged_is_no_lie(build_log: Callable[..., Path], tmp_path: Path) -> None:
    """A site may have reserved for a plan twice: more events than answers, all of them asked for."""

    def edit(at: str, value: Any) -> Any:
        if at == "update/2/alder":
            spent = value.spent
            return nested("spent", events=(*spent.events, spent.events[-1]), epsilon="7")(value)
        return value

    assert verify(build_log(tmp_path / "log", edit), expected_key=None).findings == ()


def test_epsilon_above_what_its_events_cost_is_no_lie(build_log: Callable[..., Path], tmp_path: Path) -> None:
    change = nested("spent", epsilon="50")
    edit = lambda at, value: change(value) if at == "update/1/alder" else value  # noqa: E731
    assert verify(build_log(tmp_path / "log", edit), expected_key=None).findings == ()


def test_another_anonymizer_in_the_same_run_is_no_lie(build_log: Callable[..., Path], tmp_path: Path) -> None:
    """A site that was upgraded between two rounds measures anew, and its fingerprint says so."""
    change = nested("self_check", engine_fingerprint="5" * 64, notes=40)
    edit = lambda at, value: change(value) if at == "update/2/alder" else value  # noqa: E731
    assert verify(build_log(tmp_path / "log", edit), expected_key=None).findings == ()


@pytest.mark.parametrize(("place", "field"), [("plan/1", "anonymization"), ("update/1/alder", "self_check")])
def test_a_log_without_the_self_check_cannot_be_written_any_more(
    build_log: Callable[..., Path], tmp_path: Path, place: str, field: str
) -> None:
    with pytest.raises(ValidationError, match="self-check"):
        build_log(tmp_path / "log", lambda at, value: set_to(**{field: None})(value) if at == place else value)


REPLAYED = {
    "a sum that nobody computed": ("aggregated/1", set_to(sum_digest="0" * 64), 12, "do not sum"),
    "a model that does not follow": ("aggregated/2", set_to(model_out="0" * 64), 21, "the log names 000000000000"),
    "an update that is too long": (
        "integers/1/birch",
        lambda q: np.full_like(q, 1 << 19),
        12,
        "birch: an update is longer than its clip norm",
    ),
    "an update of another size": ("integers/2/alder", None, 21, "has 122 values"),
    "another length": ("update/1/alder", set_to(payload_bytes=9), 12, "has 123 values"),
    "another rule": ("plan/1", set_to(aggregation="krum"), 12, "no 'krum'"),
}


@pytest.mark.parametrize("lie", list(REPLAYED))
def test_a_sum_or_model_that_does_not_follow_is_found_by_replay(
    build_log: Callable[..., Path], tmp_path: Path, lie: str
) -> None:
    place, change, index, words = REPLAYED[lie]

    def edit(at: str, value: Any) -> Any:
        if change is None and at == "update/2/alder":
            from coordinator.blobs import BlobStore

            short = BlobStore(tmp_path / "log" / "blobs").put(b"\0" * 4 * 122)
            return value.model_copy(update={"payload_digest": short})
        return change(value) if change is not None and at == place else value

    report = replay(build_log(tmp_path / "log", edit))
    assert report.exit_code == 4
    assert report.findings[0].index == index
    assert words in report.findings[0].message


def test_a_payload_that_was_altered_is_found_by_replay(true_log: Path) -> None:
    path = max((true_log / "blobs").iterdir(), key=lambda blob: (blob.stat().st_size == 492, blob.name))
    data = bytearray(path.read_bytes())
    data[100] ^= 4
    path.write_bytes(data)
    report = replay(true_log)
    assert (report.exit_code, report.rounds_replayed < 2) == (4, True)
    assert path.name[:12] in report.findings[0].message
