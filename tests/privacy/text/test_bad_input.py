# SPDX-License-Identifier: Apache-2.0
"""Bad input: each row comes out without what was planted in it, or is refused and counted; never a word in a log."""

from __future__ import annotations

import json
import logging
import re
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from client.data.formats import DataFile, HowToRead
from client.settings.site_settings import SiteSettings
from privacy.base.errors import SettingsError
from privacy.commandline.settings_file import parse_toml
from privacy.text.anonymize import Anonymizer
from privacy.text.find import engines
from privacy.text.find.engines import Engine
from privacy.text.reading.records import Finding, TextRow
from privacy.text.replace.replacement import rewrite
from privacy.text.run.analysis import analyze
from privacy.text.settings import TextSettings

LENIENT = {"max_refused_fraction": 1.0, "row_time_limit_seconds": 50}
PLANTED = ("zorblatt", "quenby", "123-45-6789", "078051120", "ward.local", "617", "4827193", "xylophone")


def run(engine: Engine, text: str, **changes: object) -> tuple[list[str], tuple[tuple[str, int], ...]]:
    """The texts that come out for one row, and what was refused."""
    settings = TextSettings.model_validate({**LENIENT, **changes})
    records, report = Anonymizer(engine, settings).run([TextRow("r", text, None, None)])
    assert report.rows == 1 == report.returned + sum(count for _, count in report.refused)
    return [record.text for record in records], tuple(report.refused)


# -- rows that are refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Quenby\0Zorblatt", "control_characters"),
        ("Quenby \x1b[31mZorblatt", "control_characters"),
        ("Quenby \x7f Zorblatt", "control_characters"),
        ("Quenby \x9b Zorblatt", "control_characters"),
        ("Quenby \ud83d Zorblatt", "surrogates"),
        ("Quenby Zorblatt " * 655_360, "over_long"),
    ],
)
def test_what_is_no_text_is_refused_by_its_reason(engine: Engine, text: str, reason: str) -> None:
    for settings in ({}, {"max_characters": 200_000}):
        assert run(engine, text, **settings) == ([], ((reason, 1),))


def test_no_setting_lets_a_row_of_ten_megabytes_in() -> None:
    with pytest.raises(ValidationError):
        TextSettings(max_characters=200_001)


@pytest.mark.slow
def test_a_row_at_the_highest_bound_is_analyzed_in_time(engine: Engine) -> None:
    text = ("Dr. Quenby Zorblatt, MRN 4827193, saw nothing new in the lungs on both sides.\n" * 2600)[:199_990]
    started = time.process_time()
    outcome = analyze(engine, text, 600)  # what is bounded here is work; the limit is on the clock of a busy machine
    assert time.process_time() - started < 45
    came = rewrite(text, outcome if isinstance(outcome, tuple) else ()).text
    assert "Zorblatt" not in came[:-100]


@pytest.mark.parametrize("text", ["", " ", "\n\n\t ", "\u200b", "\u00a0\u3000", "\r\n", "&nbsp;", "<br><br>"])
def test_empty_text_comes_out_as_it_is(engine: Engine, text: str) -> None:
    assert run(engine, text) == ([text], ())


# -- rows that hide what they hold ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Patient: Quen\u200dby Zor\u200cbl\u2060att",  # joiners inside of a name
        "Patient: \u202eQuenby\u202c \u2066Zorblatt\u2069",  # bidi controls
        "המטופל Dr. Quenby Zorblatt \u200f הגיע ב",  # right-to-left around it
        "Dr. Q\u0336u\u0336e\u0336n\u0336b\u0336y\u0336 Z\u0353\u0310\u0489o\u0334\u0361rblatt",  # zalgo
        "Dr. Quenby Zo\u0308rblatt",  # a letter with its accent apart
        "SSN １２３－４５－６７８９",  # full-width
        "SSN 1\u200b2\u200b3-4\u200b5-67\u200d89",
        "SSN ١٢٣-٤٥-٦٧٨٩",
        "call (6\ufe0f1\ufe0f7) 555-0123",
        "🏥 Dr. Quenby Zorblatt 🙂 MRN: 4827193👍🏽",
        "came\u2028Dr. Quenby Zorblatt\u2029left",
        "Patient: Quenby Zorblatt\r\nMRN 4827193\r\nq@ward.local\r\n",
        "Patient:&nbsp;Quenby&nbsp;Zorblatt",
        "Patient: <b>Quenby</b> <i>Zorb</i>latt",
        "Dr. Q&#117;enby Zorbl&#x61;tt",
        "<td>Patient:</td><td>Quenby Zorblatt</td><td>SSN 123-45-6789</td>",
        "mail q&#64;ward.local or <b>q</b>@ward.local",
        "<a href='mailto:q@ward.local'>write</a>",
        "SSN 123-<b>45</b>-6789, 078&shy;05&shy;1120",
        "SSN 123&#45;45&#45;6789",
        '"he said ""Dr. Quenby Zorblatt"" twice","MRN 4827193","q@ward.local"',
        "r1;Dr. Quenby Zorblatt;123-45-6789;",
        "<PERSON> and Dr. Quenby Zorblatt <NOT_A_TYPE> <MRN 4827193>",
        "<PERSON Dr. Quenby Zorblatt",
        "x" * 40_000 + " Dr. Quenby Zorblatt",
    ],
)
def test_no_disguise_saves_what_was_planted(engine: Engine, text: str) -> None:
    came, refused = run(engine, text)
    assert not refused
    plain = re.sub(r"[^\w@.<>-]", "", came[0].lower())
    for word in ("zorbl", "quenb", "123-45", "6789", "1120", "ward.local", "4827193", "5550123", "٦٧٨٩", "６７８９"):
        assert word not in plain, (word, came[0][-200:])


@pytest.mark.parametrize("letters", ["x" * 100_000, "Ab" * 60_000, "1" * 100_000, "é" * 100_000, "א" * 100_000])
def test_a_word_longer_than_any_model_is_read_in_time(engine: Engine, letters: str) -> None:
    started = time.process_time()
    assert isinstance(analyze(engine, letters, 600), tuple)
    assert time.process_time() - started < 45


@hypothesis_settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=120), st.text(max_size=120))
def test_whatever_stands_around_it_a_planted_number_goes_or_the_row_does(
    engine: Engine, before: str, after: str
) -> None:
    came, refused = run(engine, f"{before} 123-45-6789 {after}")
    assert refused or "123-45-6789" not in came[0]


def test_anonymized_text_is_left_alone_the_second_time(engine: Engine) -> None:
    first = run(engine, "Dr. <b>Quenby</b>&nbsp;Zorblatt, SSN 123-45-6789, &lt;PERSON&gt; came")[0]
    assert run(engine, first[0])[0] == first


# -- files ------------------------------------------------------------------------------------------------------------


def test_rows_that_are_no_utf8_or_broken_are_counted_and_the_others_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(
        b'text,label\r\n"one, ""quoted"" note\r\nof two",x\r\nbad \xff\xfe bytes,x\r\ntoo,many,cells\r\nlast,x\r\n'
    )
    (tmp_path / "b.jsonl").write_bytes(
        b'{"text": "one", "label": "x"}\n{"text": "\xff", "label": "x"}\n{"text": "\\ud800", "label": "x"}\n'
        b'{"text": 5.5, "label": "x"}\n{"text": \n[1]\n{"text": "last", "label": "x"}\n'
    )
    columns = ("text", "label")
    by_file = {
        name: [
            row if isinstance(row, str) else row.cells["text"]
            for _, row in DataFile(tmp_path / name, HowToRead(), columns).rows()
        ]
        for name in ("a.csv", "b.jsonl")
    }
    assert by_file["a.csv"] == ['one, "quoted" note\r\nof two', "undecodable", "malformed", "last"]
    assert by_file["b.jsonl"] == ["one", "undecodable", "undecodable", *["malformed"] * 3, "last"]


# -- settings ---------------------------------------------------------------------------------------------------------

SITE = """
[site]
name = "a"
[data]
files = ["a.csv"]
dataset = "d"
[policy]
unit = "record"
epsilon_limit = 1.0
delta = 1e-5
size_bucket = 8
[text]
"""


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('mrn_pattern = "secret[1"', "text.mrn_pattern"),
        ('mrn_pattern = "(secret1+)+x"', "text.mrn_pattern"),
        ('names_labels = { X = "PERSONN" }', "text.names_labels"),
        ('names_model = "https://secret1.example.org"', "text.names_model"),
        ("names_threshold = 2.0", "text.names_threshold"),
        ('name = "spacy"', "text.name"),
        ('allow_download = "yes"', "text.allow_download"),
        ('language = "english"', "text.language"),
    ],
)
def test_a_wrong_line_in_a_sites_toml_is_named_and_never_echoed(line: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_toml(SITE + line, SiteSettings, origin="a.toml")
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "PERSONN" not in str(caught.value)


ATOMS = st.sampled_from(
    ["a", "[ab]", r"\d", r"\w", r"[^x]", ".", "(?:a|b)", "(?:a|ab)", "(?:a|a?b)", "(a)", r"\b", r"\s", "-"]
)
REPEATS = st.sampled_from(["", "", "?", "{2}", "{0,3}", "{1,9}", "{2,64}", "{0,}", "+", "*", "+?", "{3,2}"])
PATTERNS = st.lists(st.tuples(ATOMS, REPEATS).map("".join), min_size=1, max_size=12).map("".join)


@hypothesis_settings(max_examples=150, deadline=None, derandomize=True)
@given(PATTERNS)
def test_a_pattern_that_is_taken_is_cheap_on_hostile_text(pattern: str) -> None:
    try:
        settings = TextSettings.model_validate({"mrn_pattern": pattern})
    except ValidationError:
        return
    compiled = re.compile(str(settings.mrn_pattern))
    for hostile in ("a" * 2000, "ab" * 1000, "1" * 2000, "a-" * 1000):
        started = time.process_time()
        for _ in compiled.finditer(hostile):
            pass
        # a row of 50,000 characters then stays far below its time limit, and beyond it the timer ends the row
        assert time.process_time() - started < 2


def test_an_unknown_entity_type_or_a_span_outside_the_text_refuses_the_row() -> None:
    class Wrong:
        fingerprint = "0" * 64

        def __init__(self, finding: Finding) -> None:
            self.finding = finding

        def analyze(self, text: str) -> list[Finding]:
            return [self.finding]

    for finding in (
        Finding(0, 3, "NAME", 1.0, "x"),
        Finding(0, 99, "PERSON", 1.0, "x"),
        Finding(-1, 2, "PERSON", 1.0, "x"),
        Finding(2, 2, "PERSON", 1.0, "x"),
        Finding(3, 1, "PERSON", 1.0, "x"),
    ):
        assert analyze(Wrong(finding), "Quenby", 5) == "invalid_finding"


# -- silence ----------------------------------------------------------------------------------------------------------


class EveryRecord(logging.Handler):
    """Keeps what any logger says, with its arguments and its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(logging.Formatter("%(message)s").format(record) + repr(record.args))


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_of_a_text_is_in_a_log_a_warning_or_on_the_terminal(workers: int, capfd) -> None:  # type: ignore[no-untyped-def]
    texts = [
        "Patient: Quenby Zorblatt, SSN 123-45-6789, passport 078051120, q@ward.local, (617) 555-0199, MRN 4827193",
        "xylophone Quenby Zorblatt \0",
        "xylophone \ud800",
        "http://[xylophone.zorblatt credit card 4111 1111 1111 1112, IBAN XX12 Quenby",
        json.dumps({"name": "Quenby Zorblatt", "note": "xylophone"}),
    ] * 5
    handler = EveryRecord()
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in list(logging.root.manager.loggerDict))]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            settings = TextSettings.model_validate({**LENIENT, "workers": workers, "countries": ("US", "GB")})
            rows = [TextRow(f"r{at}", text, None, None) for at, text in enumerate(texts)]
            _, report = Anonymizer(engines.load(settings), settings).run(rows)
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
            logger.removeHandler(handler)
    shown = capfd.readouterr()
    told = "\n".join([*handler.said, *(str(warning.message) for warning in warned), shown.out, shown.err]).lower()
    assert report.refused == (("control_characters", 5), ("surrogates", 5))
    assert not [word for word in PLANTED if word in told]
