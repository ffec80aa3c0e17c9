# SPDX-License-Identifier: Apache-2.0
"""Medical record numbers (Safe Harbor row 8): by label, and by the site's own format without one."""

from __future__ import annotations

import re

from privacy.text.find.recognizers._labels import labelled, marked
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_STRONG = (
    r"E?MRN(?:O|S)?|M\.R\.N\.?|MR\s?#|MR|EMPI|MPI|EPIC\s?(?:MRN|ID)|EPI|URN|UR|UMRN|HRN|PMRN|PHN|CRN|"
    r"med(?:ical)?\.?[\s_-]?rec(?:ord)?s?\.?|health\srecords?|clinical\srecords?|chart|"
    r"(?:patient|pt|resident|client|hospital|facility|clinic)(?:'?s)?\.?[\s_-]?"
    r"(?:ids?|identifier|identification|numbers?|no|num|#|mrn|record|chart|file)"
)
_EVERYDAY = r"hospital|unit|records?|history|patient|pt|folder|file|dossier|registration|enterprise|master|medrec"


def build(settings: TextSettings) -> Rules:
    """The record-number recognizer, with `settings.mrn_pattern` where the site has one."""
    rules = [
        labelled("MEDICAL_RECORD_NUMBER", _STRONG, 0.85),
        marked("MEDICAL_RECORD_NUMBER", _EVERYDAY, 0.7, digits=4),
    ]
    if settings.mrn_pattern is not None:
        site = re.compile(rf"(?<![A-Za-z0-9])(?:{settings.mrn_pattern})(?![A-Za-z0-9])")
        rules.append(PatternRule("MEDICAL_RECORD_NUMBER", 0.95, site))
    return Rules("medical_records", rules)
