# SPDX-License-Identifier: Apache-2.0
"""Known leaks stay closed, clinical meaning stays. All people, numbers and places are invented."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from privacy.text.reading.records import AnonymizedRecord

Anonymize = Callable[[str], AnonymizedRecord]

# (text, the words that must be gone)
LEAKS = [
    ("write to bob@ward.local please", "bob@ward.local"),
    ("write to bob@x.lan please", "bob@x.lan"),
    ("write to bob@x.corp please", "bob@x.corp"),
    ("write to bob@x.internal please", "bob@x.internal"),
    ("write to bob@mailhost please", "bob@mailhost"),
    ("born 3 April 1976 in spring", "3 April 1976"),
    ("seen April 12 by us", "April 12"),
    ("seen on the 3rd of May, 2019", "3rd of May, 2019"),
    ("had surgery in 2011 there", "2011"),
    ("smoked from 1998 to 2004", "2004"),
    ("last seen in November for this", "November"),
    ("admitted on 3/14 with pain", "3/14"),
    ("on 2021-03-05 10:22 she fell", "2021-03-05"),
    ("SSN 078051120 on file", "078051120"),
    ("number 900-12-3456 given", "900-12-3456"),
    ("last four of SSN: 6789", "6789"),
    ("MRN: 4827193 noted", "4827193"),
    ("chart 4827193 noted", "4827193"),
    ("seen as 4827193 there", "4827193"),
    ("accession no. S19-20455 sent", "S19-20455"),
    ("account number 12345678 at bank", "12345678"),
    ("Medicare member ID 1EG4TE5MK73 on file", "1EG4TE5MK73"),
    ("my driver license is A1234567.", "A1234567"),
    ("passport number 123456789 shown", "123456789"),
    ("DEA number BB1388568 printed", "BB1388568"),
    ("VIN 1M8GDM9AXKP042788 towed", "1M8GDM9AXKP042788"),
    ("pacemaker serial number PZK600123S in place", "PZK600123S"),
    ("card 4012 8888 8888 1882 declined", "4012 8888 8888 1882"),
    ("a 92-year-old man", "92"),
    ("she is 101 y/o and well", "101"),
    ("aged 90 at death", "90"),
    ("ninety-three years old", "ninety-three"),
    ("call (555) 010-4477 now", "(555) 010-4477"),
    ("call 555-0123 now", "555-0123"),
    ("fax: 617.555.0144", "617.555.0144"),
    ("pager 4471 overnight", "4471"),
    ("reach him at +44 20 7946 0958 today", "+44 20 7946 0958"),
    ("lives at 123 Elm Street, Springfield, IL 62701 alone", "123 Elm Street, Springfield, IL 62701"),
    ("P.O. Box 1187 is used", "P.O. Box 1187"),
    ("zip code 02139 given", "02139"),
    ("resident of Springfield since birth", "Springfield"),
    ("see http://portal.example.org/p/7 for it", "portal.example.org"),
    ("from 10.20.30.40 at night", "10.20.30.40"),
    ("application (no. 40412/19) lodged", "40412/19"),
    ("Dr. Okonkwo was paged", "Okonkwo"),
    ("Dr. White was paged", "White"),
    ("Mr. Quillfeather agreed", "Quillfeather"),
    ("Patient: Zorblatt, Quenby M.", "Zorblatt"),
    ("PATIENT NAME: QUENBY ZORBLATT", "QUENBY ZORBLATT"),
    ("signed by Quenby Zorblatt", "Quenby Zorblatt"),
    ("assisted today, Quenby Zorblatt, RN", "Zorblatt"),
    ("seen with J. Zorblatt yesterday", "Zorblatt"),
    ("her daughter Quenby called", "Quenby"),
    ("my name is Quenby", "Quenby"),
    ("we met Jennifer in clinic", "Jennifer"),
    ("patient maria gonzalez called", "maria gonzalez"),
    ("Tomasz Przybylski agreed to surgery", "Przybylski"),
]

KEPT = [
    "B12 low, T12 fracture, L4-L5 disc, code E11, H1N1 excluded",
    "dose 1640 units at 08:30; ANC 1641",
    "BP 120/80, HR 72, SpO2 98%, strength 5/5, murmur 2/6",
    "Na 140 | K 4.1 | Cl 101 | CO2 24 | BUN 18 | Cr 1.1 | Glu 105 (ref 70-110)",
    "Babinski sign negative, Foley catheter in place, Crohn disease quiescent",
    "Positive Babinski; Foley removed; history of Crohn's disease and Parkinson disease",
    "Kocher clamp, Graves disease, Wilson disease, Murphy sign, McBurney point",
    "Heparin 5000 units bid, platelets 250000, metformin 1000 mg, WBC 12000",
    "viral load 1250000 copies/mL, 2000 mL given, range 0-140 degrees",
    "a 45-year-old woman, 89-year-old father",
    "may 2 tablets be taken; march in place 3 times",
    "Patient: Denies pain. Assessment: Stable. Plan: 1500 mL restriction",
    "H. Pylori and C. Difficile negative, E. coli grew",
    "aortic valve replacement with Ross procedure, oxygen saturation 95",
]


@pytest.mark.parametrize(("text", "gone"), LEAKS)
def test_a_known_leak_is_closed(text: str, gone: str, anonymize: Anonymize) -> None:
    assert gone in text
    assert gone not in anonymize(text).text


@pytest.mark.parametrize("text", KEPT)
def test_clinical_meaning_stays(text: str, anonymize: Anonymize) -> None:
    assert anonymize(text).text == text


def _documented_leaks() -> list[str]:
    page = (Path(__file__).resolve().parents[3] / "docs" / "anonymization.md").read_text(encoding="utf-8")
    whole = page.split("## What leaks today")[1].split("\n- In part")[0]
    return re.findall(r"`([^`]+)`", whole)


@pytest.mark.parametrize("text", _documented_leaks())
def test_what_the_page_says_leaks_does_leak(text: str, anonymize: Anonymize) -> None:
    assert anonymize(text).text == text, "this leak is closed: say so in docs/anonymization.md"


def test_three_adjacent_addresses_give_three_tags(anonymize: Anonymize) -> None:
    record = anonymize("a@b.example c@d.example e@f.example")
    assert record.text == "<EMAIL_ADDRESS> <EMAIL_ADDRESS> <EMAIL_ADDRESS>"
    assert len(record.findings) == 3


@pytest.mark.parametrize("text", ["passport number 123456789", "the account 12345678 at bank", "my NPI is 1234567893"])
def test_context_words_are_alive(text: str, engine, settings) -> None:  # type: ignore[no-untyped-def]
    """With an engine whose lemmas are empty, Presidio's weak patterns stay under every threshold."""
    presidios = [f for f in engine.analyze(text) if f.recognizer.endswith("Recognizer")]
    assert any(f.score >= settings.score_threshold for f in presidios)


def test_a_surname_shown_once_goes_everywhere_in_that_text(anonymize: Anonymize) -> None:
    text = anonymize("Mr. Quillfeather fell. On arrival Quillfeather's wife said that QUILLFEATHER was well.").text
    assert "quillfeather" not in text.lower()


def test_a_row_knows_nothing_of_other_rows(engine, settings) -> None:  # type: ignore[no-untyped-def]
    from privacy.text.anonymize import Anonymizer
    from privacy.text.reading.records import TextRow

    rows = [TextRow("1", "Mr. Quillfeather fell.", None, None), TextRow("2", "Quillfeather went home.", None, None)]
    together, _ = Anonymizer(engine, settings).run(rows)
    alone, _ = Anonymizer(engine, settings).run(rows[1:])
    assert together[1] == alone[0]


DISGUISED = [
    ("mail bob＠clinic.example now", "clinic"),
    ("MRN ４８２７１９３ noted", "４８２７１９３"),
    ("Mr. Quill\u200bfeather fell", "feather"),
    ("Dr. Jose\u0301 Nun\u0303ez came", "ez came"),
    ("SSN 123\u201145\u20116789 on file", "6789"),
    ("call (555)\u00a0010-4477", "4477"),
    ("Mr. O\u2019Quillan fell", "Quillan"),
]


@pytest.mark.parametrize(("text", "gone"), DISGUISED)
def test_unicode_does_not_hide_an_identifier(text: str, gone: str, anonymize: Anonymize) -> None:
    assert gone in text
    assert gone not in anonymize(text).text


@pytest.mark.parametrize("text", [text for text, _ in LEAKS] + KEPT)
def test_anonymizing_twice_changes_nothing(text: str, anonymize: Anonymize) -> None:
    once = anonymize(text).text
    assert anonymize(once).text == once
