# SPDX-License-Identifier: Apache-2.0
"""What a site adds in its TOML: recognizers, terms to mask and to keep; wrong ones are clear errors at reading."""

from __future__ import annotations

import re
import time

import pytest

from privacy.base.errors import SettingsError
from privacy.commandline.settings_file import parse_toml
from privacy.text.anonymize import Anonymizer
from privacy.text.find import engines
from privacy.text.find.allow_list import AllowList
from privacy.text.find.recognizers import site_recognizers
from privacy.text.reading.records import Finding, TextRow
from privacy.text.reading.site_patterns import SiteRecognizer
from privacy.text.settings import TextSettings

TOML = """
allow_list = ["Jennifer Blue"]
deny_list = ["Rosenweg"]
mrn_pattern = 'H-\\d{6}'

[[recognizers]]
name = "ward_bed"
entity_type = "LOCATION"
patterns = ['[A-Z]\\d{1,2}-bed-\\d{1,2}']

[[recognizers]]
name = "study_code"
entity_type = "ID_NUMBER"
patterns = ['[A-Z]{3}\\d{4}', 'Z\\.\\d{3}']
context = ["trial", "study arm"]
score = 0.8
"""


def _with(pattern: str, *, entity_type: str = "ID_NUMBER") -> str:
    return f'[[recognizers]]\nname = "x"\nentity_type = "{entity_type}"\npatterns = [\'{pattern}\']\n'


def test_a_site_adds_recognizers_without_code() -> None:
    found = site_recognizers.build(parse_toml(TOML, TextSettings, origin="site.toml")).find(
        "in C4-bed-12, trial ABC1234; lab ABC1234" + " " * 60 + "ABC1234 alone. Trial Z.123"
    )
    assert [(finding.entity_type, finding.recognizer, finding.score) for finding in found] == [
        ("LOCATION", "site_ward_bed", 0.9),
        ("ID_NUMBER", "site_study_code", 0.8),
        ("ID_NUMBER", "site_study_code", 0.8),
        ("ID_NUMBER", "site_study_code", 0.8),
    ]


def test_they_take_part_in_the_engine_and_in_its_fingerprint() -> None:
    settings = parse_toml(TOML, TextSettings, origin="site.toml")
    engine = engines.load(settings)
    rows = [TextRow("1", "Jennifer Blue cream for C4-bed-12 on Rosenweg, Jennifer said", None, None)]
    records, report = Anonymizer(engine, settings).run(rows)
    assert records[0].text == "Jennifer Blue cream for <LOCATION> on <SITE_TERM>, <PERSON> said"
    assert "Rosenweg" not in report.to_json()
    for change in ({"allow_list": ()}, {"recognizers": ()}, {"quasi_identifiers": "keep"}):
        assert engines.load(settings.model_copy(update=change)).fingerprint != engine.fingerprint


def test_an_allowed_term_saves_no_number_and_no_part_of_a_name() -> None:
    allowed = AllowList(("Zorvexa", "4827193"))
    name, longer = Finding(0, 7, "PERSON", 0.8, "x"), Finding(0, 13, "PERSON", 0.8, "x")
    assert allowed.without_allowed("Zorvexa Quill", [name, longer]) == {longer}
    number = Finding(0, 7, "ID_NUMBER", 0.8, "x")
    assert allowed.without_allowed("4827193", [number]) == {number}


def test_without_private_lists_nothing_of_the_site_is_left() -> None:
    settings = parse_toml(TOML, TextSettings, origin="site.toml")
    shared = settings.without_private_lists()
    assert shared == TextSettings()
    for word in ("Rosenweg", "Jennifer", "bed", "H-"):
        assert word not in repr(settings)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (_with(r"[A-Z"), "not a valid regular expression"),
        (_with(r"(\d+)+x"), "unbounded"),
        (_with(r"\d{3,}"), "unbounded"),
        (_with(r"\d{3}\w*"), "unbounded"),
        (_with(r"[0-9]{,65}abc"), "unbounded"),
        (_with(r"(ab){3}"), "repeated group"),
        (_with(r"(?:ab|cd)?efg"), "repeated group"),
        (_with(r"(?:a|a)" * 12 + "xyz"), "slow"),
        (_with(r"\d{,60}\d{,60}\d{,60}x"), "slow"),
        (_with(r"(?:\d?\d?\d?\d?\d?\d?\d?\d?\d?\d?\d?\d?)abc"), "slow"),
        (_with(r"(?=\d)\d{6}"), "look-around"),
        (_with(r"\d{6}(?<!0)"), "look-around"),
        (_with(r"(\d)\1\d{5}"), "back-reference"),
        (_with(r"(?P<a>\d)\d{6}"), "named groups"),
        (_with(r"(?i)abc\d{3}"), "flags"),
        (_with(r"(?i:abc)\d{3}"), "flags"),
        (_with(r"(?>abc)\d{3}"), "refused"),
        (_with(r"\d{2,4}+abc"), "refused"),
        (_with(r"(\d)?(?(1)a|b)cdef"), "refused"),
        (_with(r"\b\B\b"), "fewer than three"),
        (_with(r"\d{2}|\d{7}"), "fewer than three"),
        (_with(r"\u00e9{2}"), "fewer than three"),
        (_with(r"\d{99999999999999999999}"), "regular expression"),
        (_with(r"[]a[b]{3,4}c{1,70}"), "unbounded"),
        (_with(r"\d{6}", entity_type="MRN"), "nearest ones are"),
        (_with(r"\d{6}", entity_type="PHONENUMBER"), "PHONE_NUMBER"),
        (_with(r"\d{6}") + _with(r"\d{7}"), "same name"),
        (_with(r"\d{6}").replace("patterns", "pattern"), "nearest one is"),
    ],
)
def test_a_wrong_recognizer_is_a_clear_error_that_echoes_nothing(toml: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_toml(toml, TextSettings, origin="site.toml")
    assert message in str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d{1,40}[0-9]{1,40}x",
        r"(?:AB|CD|EF)-?\d{6,8}",
        r"[^]\d]{3}\d{2,9}",
        r"\w{3,64}9",
        r"(?:a|b|ab)(?:a|b|ab)(?:c|d)x",
    ],
)
def test_an_allowed_pattern_is_fast_on_hostile_text(pattern: str) -> None:
    recognizer = SiteRecognizer(name="x", entity_type="ID_NUMBER", patterns=(pattern,))
    compiled = re.compile(recognizer.patterns[0])
    started = time.process_time()
    for hostile in ("1" * 20_000, "ab" * 10_000, "AB-1" * 5_000):
        list(compiled.finditer(hostile))
    assert time.process_time() - started < 4
