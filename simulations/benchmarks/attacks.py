# SPDX-License-Identifier: Apache-2.0
"""Each attack that once worked, by its id, and the tests of the real code that make it again: all must pass.

S: the reviewers' network and protocol attacks. A, B: the statistician's, by the section of the review. The claims that
they refuted stand in docs/adr/0023 to 0035.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SITE: Final = "tests/client/site/test_attacks.py"
HOSTILE: Final = "tests/loopback/test_loopback_hostile_site.py"
CROWD: Final = "tests/loopback/test_loopback_crowd.py"

ATTACKS: Final[Mapping[str, tuple[str, ...]]] = {
    "S1, A1 overflow as a yes or no": (
        f"{SITE}::test_a_head_that_overflows_for_one_text_alone_says_nothing_of_it",
        f"{SITE}::test_a_word_whose_embedding_is_huge_says_nothing_of_who_wrote_it",
    ),
    "S2 noise of one task, counts of another": (
        f"{SITE}::test_counts_are_noised_for_the_task_that_is_counted",
        f"{SITE}::test_a_plan_that_departs_from_its_contract_or_can_not_end_is_refused_after_an_honest_one",
    ),
    "S3 one site makes another be refused": (
        f"{HOSTILE}::test_one_site_cannot_make_another_be_refused_nor_answer_for_it",
        f"{HOSTILE}::test_one_site_cannot_take_or_delete_what_another_was_sent",
    ),
    "S3b disk filled, object ids poisoned": (
        f"{HOSTILE}::test_a_site_leaves_no_more_bytes_than_its_quota",
        f"{HOSTILE}::test_an_object_id_that_was_claimed_does_not_stop_the_coordinator",
    ),
    "S4 idle connections, endless headers, bodies": (CROWD,),
    "S5, S12 a hello that stops the run or steers a terminal": (
        "tests/coordinator/test_bounded_replies.py",
        "tests/coordinator/test_unloggable.py",
        "tests/test_cli_terminal.py",
    ),
    "S6, A5 label_unknown and other refusals as answers": (
        f"{SITE}::test_plans_whose_labels_lack_one_learn_nothing_of_which_labels_there_are",
        f"{SITE}::test_one_row_of_a_site_never_stops_a_round",
        f"{SITE}::test_a_site_without_usable_data_trains_and_counts_like_any_other",
    ),
    "S7 a signature for a stranger's plan": (
        f"{SITE}::test_a_stranger_gets_no_signature_under_any_plan_and_fills_no_report",
    ),
    "S8 counts of 2^53, below 0, or with other noise": (
        "tests/coordinator/test_replies.py",
        "tests/privacy/audit/test_lies.py",
    ),
    "S9, S10 packed answers, a foreign certificate": ("tests/client/wire/test_transport.py",),
    "S11 ten million steps": ("tests/client/site/test_guard.py",),
    "S13 small-order keys, huge buckets, open folders": (
        "tests/coordinator/test_provision.py",
        "tests/client/test_enrolment.py",
    ),
    "S14 a log that keeps its reader busy": ("tests/privacy/audit/test_hostile_logs.py",),
    "S15 replayed signatures, odd keys, ids of others": (
        f"{HOSTILE}::test_calls_with_other_keys_headers_or_lengths_are_refused_without_a_word_in_the_log",
        "tests/coordinator/wire/test_slots.py",
    ),
    "A2 an evaluation that is free": (
        f"{SITE}::test_an_evaluation_of_a_number_that_is_none_is_charged_and_counted_as_nothing",
    ),
    "A3, A7 units that move, a second unit": (
        "tests/client/site/test_split_is_pinned.py",
        "tests/privacy/dp/test_ledger_rules.py",
    ),
    "A4 draws that one unit more shifts": (
        "tests/privacy/dp/test_draws.py",
        "tests/simulations/leakage/test_neighbours.py",
    ),
    "A6 the next plan chosen by the last output": ("tests/privacy/dp/test_filtering.py",),
    "A7 units that cancel, the order of a sum": ("tests/privacy/dp/test_rounding.py",),
    "B a note told from its update": ("tests/privacy/leakage/test_matching.py",),
}
