# SPDX-License-Identifier: Apache-2.0
"""The first three digits of a US ZIP code, where Safe Harbor lets them stay (45 CFR 164.514(b)(2)(i)(B)).

An area of one prefix with 20,000 or fewer people becomes 000. The law says "according to the current publicly available
data from the Bureau of the Census": we hold the union of the areas that are small by the census of 2000 (the list in
the guidance of the Department of Health and Human Services) and by that of 2010, so that neither reading is broken.
"""

from __future__ import annotations

import re

_CENSUS_2000 = "036 059 063 102 203 556 692 790 821 823 830 831 878 879 884 890 893"
_CENSUS_2010 = "036 059 102 203 205 369 556 692 753 772 821 823 878 879 884 893"

SMALL_AREAS = frozenset(f"{_CENSUS_2000} {_CENSUS_2010}".split())
"""Prefixes that cover 20,000 or fewer people."""

_ZIP = re.compile(r"\s*(\d{3})(?:\d{2}(?:[ -]?\d{4})?)?\s*", re.ASCII)


def zip3(zip_code: str) -> str | None:
    """The first three digits of `zip_code` (3, 5 or 9 digits), '000' for a small area; None for what is no ZIP code."""
    match = _ZIP.fullmatch(zip_code)
    if match is None:
        return None
    return "000" if match.group(1) in SMALL_AREAS else match.group(1)
