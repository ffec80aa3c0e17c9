# SPDX-License-Identifier: Apache-2.0
"""Certificate and licence numbers (Safe Harbor row 11) by label: a licence has no shape that B12 or T12 lacks.

DEA numbers and NPIs with a valid check digit are found by Presidio without a label as well.
"""

from __future__ import annotations

import re

from privacy.text.find.recognizers._labels import MEASURED, TOKEN, cue, enough, marked
from privacy.text.find.recognizers._places import US_STATE
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_STRONG = (
    r"licen[cs]es?|lic|DEA|NPI|UPIN|CLIA|passports?|visa\s(?:no|number|#)|permit|certificates?|certification|cert|"
    r"registration|credential|diploma|green\scard|alien(?:\sregistration)?|A-?number|USCIS|"
    r"driver'?s?'?\s(?:licen[cs]e|lic)|D\.L\.|DLN|OLN|CDL|state\sids?|(?:state|government|national|photo|military)\sid(?:\scard)?|"
    r"ID\scard|board\s(?:cert(?:ificate|ification)?|licen[cs]e)|(?:RN|MD|NP|PA|PT|LPN)\slicen[cs]e|bar\s(?:no|number|#)|"
    r"pilot'?s?\scertificate|GMC|NMC|HCPC|GPhC|AHPRA|LANR|BSNR|RPPS|ADELI|provider\s(?:id|number|no|#)|Fahrerlaubnis|"
    r"F\u00fchrerschein(?:nummer)?|Personalausweis(?:nummer)?"
)
_ISSUER = rf"(?:[\s(,-]{{1,2}}(?:{US_STATE})\)?(?![A-Za-z]))?"
_DRIVER = rf"(?<![/\w])(?:(?-i:DL|D/L)|(?:{US_STATE})\s(?:DL|driver'?s?\slic(?:en[cs]e)?|licen[cs]e|lic|permit))"


def build(settings: TextSettings) -> Rules:
    """The licence recognizer; needs no settings."""

    def rule(score: float, words: str, needs: tuple[str, ...] = ()) -> PatternRule:
        pattern = re.compile(cue(words) + TOKEN + MEASURED, re.IGNORECASE)
        return PatternRule("LICENSE_NUMBER", score, pattern, keep=enough(digits=3), needs=needs)

    return Rules(
        "licenses",
        [
            rule(0.75, f"(?:{_STRONG}){_ISSUER}"),
            rule(0.75, _DRIVER + _ISSUER, ("dl", "d/l", "lic", "permit")),
            marked("LICENSE_NUMBER", r"reg|board|enrol?lment|badge|warrant|firearm|weapon|concealed\scarry", 0.6),
            PatternRule(
                "MEDICAL_LICENSE",
                0.5,
                re.compile(r"(?<![\w-])[ABCDEFGHJKLMPRSTUX][A-Z9]\d{7}(?:-[A-Z0-9]{2,8})?(?![\w-])"),
            ),
        ],
    )
