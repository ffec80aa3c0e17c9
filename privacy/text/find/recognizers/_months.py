# SPDX-License-Identifier: Apache-2.0
"""Names of months, days and feasts, as alternations for patterns."""

from __future__ import annotations

_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sept", "sep", "oct", "nov", "dec",
)  # fmt: skip
# In lower case these three are ordinary words or abbreviations: "patient may 2 ...".
_MONTHS = sorted(
    {form for name in _NAMES for form in (name.capitalize(), name.upper())} | (set(_NAMES) - {"may", "march", "mar"}),
    key=lambda form: (-len(form), form),
)
MONTH = rf"(?:{'|'.join(_MONTHS)})(?![A-Za-z])\.?"
"""An English month, in full or short; `may`, `march` and `mar` in capitals only."""

FOREIGN_MONTH = (
    r"(?:enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|setiembre|octubre|noviembre|diciembre|"
    r"janvier|f[\u00e9e]vrier|mars|avril|mai|juin|juillet|ao[\u00fbu]t|septembre|octobre|novembre|d[\u00e9e]cembre|"
    r"januar|j[\u00e4a]nner|februar|m[\u00e4a]rz|juni|juli|oktober|dezember|gennaio|febbraio|aprile|maggio|giugno|luglio|"
    r"settembre|ottobre|dicembre|janeiro|fevereiro|mar\u00e7o|maio|junho|julho|setembro|outubro|novembro|dezembro|"
    r"januari|februari|maart|mei|augusti?|augustus|maj|desember|stycznia|lutego|marca|kwietnia|maja|czerwca|lipca|sierpnia|"
    r"wrze\u015bnia|pa\u017adziernika|listopada|grudnia)"
)

WEEKDAY = r"(?:(?:Mon|Tues?|Wed(?:nes)?|Thur?s?|Fri|Sat(?:ur)?|Sun)(?:day)?\b\.?,?\s)?"

HOLIDAY = (
    r"(?:Christmas(?:\s(?:Eve|Day))?|X-?mas|Thanksgiving(?:\sDay)?|Easter(?:\s(?:Sunday|Monday))?|Good\sFriday|"
    r"New\sYear'?s?(?:\s(?:Eve|Day))|Labou?r\sDay|Memorial\sDay|Independence\sDay|(?:4th|Fourth)\sof\sJuly|Halloween|"
    r"(?:Saint\s|St\.?\s)?Valentine'?s\sDay|Veterans'?\sDay|Columbus\sDay|Indigenous\sPeoples'?\sDay|"
    r"(?:MLK|Martin\sLuther\sKing(?:\sJr\.?)?)\sDay|Presidents'?s?\sDay|Mother'?s'?\sDay|Father'?s'?\sDay|Boxing\sDay|"
    r"(?:Ch|H)anukk?ah|Passover|Rosh\sHashanah?|Yom\sKippur|Sukkot|Purim|Ramadan|Eid(?:\sal-\w{4,5})?|Diwali|Holi|Vesak|"
    r"(?:Lunar|Chinese)\sNew\sYear|T\u1ebft|St\.?\sPatrick'?s\sDay|Cinco\sde\sMayo|Juneteenth|Groundhog\sDay|Canada\sDay|"
    r"(?:May\s|August\s|spring\s)?[Bb]ank\s[Hh]oliday|Ash\sWednesday|Palm\sSunday|Pentecost|Whitsun|Mardi\sGras|Kwanzaa|Earth\sDay|"
    r"Bastille\sDay|Australia\sDay|ANZAC\sDay|Guy\sFawkes(?:\sNight)?|Flag\sDay|Patriots'?\sDay|All\sSaints'?(?:\sDay)?|Epiphany|Advent|Oktoberfest)"
)
"""Days with a name of their own."""

HOLIDAY_STEMS = tuple(
    stem.replace("@", " ")
    for stem in [
        "christmas", "xmas", "x-mas", "thanksgiving", "easter", "good@friday", "new@year", "labor@day",
        "labour@day", "memorial@day", "independence", "of@july", "halloween", "valentine", "veteran", "columbus",
        "indigenous", "mlk", "luther", "presidents", "president's", "mother's@day", "mothers@day", "mothers'@day",
        "father's@day", "fathers@day", "fathers'@day", "boxing@day", "nuk", "passover", "hashana", "kippur",
        "sukkot", "purim", "ramadan", "eid", "diwali", "holi", "vesak", "tết", "patrick", "mayo", "juneteenth",
        "groundhog", "canada@day", "bank@holiday", "ash@wed", "palm@sun", "pentecost", "whitsun", "mardi@gras",
        "kwanzaa", "earth@day", "bastille", "australia@day", "anzac", "fawkes", "flag@day", "patriot", "saint",
        "epiphany", "advent", "oktoberfest",
    ]
)  # fmt: skip
"""Strings of which every holiday holds one, in lower case."""

FOREIGN_STEMS = tuple(
    stem.replace("@", " ")
    for stem in [
        "enero", "febrero", "marzo", "abril", "mayo@", "junio", "julio", "agosto", "tiembre", "octubre",
        "noviembre", "diciembre", "janvier", "février", "fevrier", "mars@", "avril", "mai@", "juin", "juillet",
        "août", "aout", "septembre", "octobre", "novembre", "décembre", "decembre", "januar", "jänner", "janner",
        "februar", "märz", "marz", "juni@", "juli@", "oktober", "dezember", "gennaio", "febbraio", "aprile",
        "maggio", "giugno", "luglio", "settembre", "ottobre", "dicembre", "janeiro", "fevereiro", "março", "maio",
        "junho", "julho", "setembro", "outubro", "novembro", "dezembro", "maart", "mei@", "august", "maj@",
        "desember", "stycznia", "lutego", "marca", "kwietnia", "maja@", "czerwca", "lipca", "sierpnia", "września",
        "października", "listopada", "grudnia",
    ]
)  # fmt: skip
"""Strings of which every foreign month before a year holds one, in lower case."""
