# SPDX-License-Identifier: Apache-2.0
"""Numbers of specimens, orders, visits and cases (Safe Harbor row 18): by label, and specimens by their usual shape."""

from __future__ import annotations

import re

from privacy.text.find.recognizers._labels import labelled, marked
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_STRONG = (
    r"accession|acc(?=\.?\s?(?:#|no|num))|ACCN|specimen(?:\sid)?|requisition|req(?=\s?(?:#|no|id))|CSN|FIN|HAR|encounter|"
    r"(?:surgical\s)?path(?:ology)?(?:\s(?:case|report|accession|specimen))?|cytology|histology|"
    r"case\s(?:no|number|#|id)|order\s(?:no|number|#|id)|visit\s(?:no|number|#|id)|"
    r"slide|tissue\sblock|referral|prescription|Rx(?=\s?(?:#|no|num))|"
    r"(?:study|subject|participant|enrollment|randomi[sz]ation|registry|screening)\s(?:id|no|number|#)|"
    r"incident|ticket|confirmation|tracking|docket|(?:court|police|cause|file|index)\s(?:case|file|report|no|number|#)|"
    r"(?:application|petition|appeal)(?=s?\s?\(?(?:#|no))s?"
)
_EVERYDAY = (
    r"case|order|visit|study|exam(?:ination)?|imaging|report|labs?|sample|tube|container|bag|blood\sunit|donor|donation|"
    r"recipient|episode|admission|event|booking|appointment|reservation|transport|trip|run|dispatch|document|doc|note|image|"
    r"series|scan|film|biopsy|culture|consult(?:ation)?|procedure|surgery|transplant|UNOS|complaint|grievance|"
    r"reference|ref|application|file|court|police|lawsuit|request|authori[sz]ation|call|session|token|key"
)
_SHAPES = (
    r"[A-Z]{1,3}-?(?:19|20)?\d{2}-\d{3,8}(?:-?[A-Z0-9]{1,3})?",
    r"(?:19|20)?\d{2}-[A-Z]{1,3}-?\d{4,8}(?:-?[A-Z0-9]{1,2})?",
    r"[A-Z]{2}\d{2}-\d{3,8}",
)
_COURT = (
    r"(?<![\w./-])(?:nos?\.?|case|application|docket|file|cause|index|claim|"
    r"petition)[\s:#(]{1,3}(?:no\.?\s?)?(?P<id>\d{2,7}/\d{2,4})(?![\w/])"
)
_DOCKET = (
    r"(?<![\w-])\d{1,2}:\d{2}-(?:cv|cr|mc|md|bk|ap)-\d{3,6}(?:-[A-Z]{2,4}){0,3}(?![\w-])|"
    r"(?<![\w-])\d{2,4}-?(?:CV|CR|FA|DR|PR|JV)-?\d{3,8}(?![\w-])"
)


def _no_virus(match: re.Match[str]) -> bool:
    """COVID-19-2020 and the like are no specimens."""
    return not match.group().upper().startswith(("ICD", "CPT", "DSM", "ISO", "IL-", "CD-", "NCT", "SARS"))


def build(settings: TextSettings) -> Rules:
    """The recognizer of visits and specimens; needs no settings."""
    return Rules(
        "visits",
        [
            labelled("ID_NUMBER", _STRONG, 0.75),
            marked("ID_NUMBER", _EVERYDAY, 0.6, digits=3, characters=5),
            *(
                PatternRule("ID_NUMBER", 0.55, re.compile(rf"(?<![\w./-])(?:{shape})(?![\w-]|/\d)"), keep=_no_virus)
                for shape in _SHAPES
            ),
            PatternRule("ID_NUMBER", 0.7, re.compile(_COURT, re.IGNORECASE)),
            PatternRule("ID_NUMBER", 0.7, re.compile(_DOCKET, re.IGNORECASE)),
        ],
    )
