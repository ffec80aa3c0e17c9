# SPDX-License-Identifier: Apache-2.0
"""What announces a name: a title, a label, a credential, initials, an introduction, a relation."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UP = "[A-Z" + "".join(chr(code) for code in range(0xC0, 0x250) if chr(code).isupper()) + "]"
_WORD = rf"{_UP}[^\W\d_]*(?:['-][^\W\d_]+){{0,3}}"
_PARTICLE = r"(?:(?:[Vv]an|[Vv]on|[Dd]e|[Dd]el|[Dd]ella|der|den|[Ll]a|[Ll]e|di|da|dos|al|bin|el|ter)\s){0,2}"
_INITIALS = rf"(?:{_UP}\.?[ -]?(?={_UP}|[a-z]{{2,4}} )){{0,3}}"
_FULL = rf"(?P<name>{_INITIALS}{_PARTICLE}{_WORD}(?:,? {{1,2}}(?:{_UP}\.? )?{_PARTICLE}{_WORD}){{0,3}}(?: {_UP}\b)?)"
_NO_COMMA = _FULL.replace(",?", "")

_TITLES = (
    r"Mr|Mrs|Ms|Miss|Mx|Dr|Drs|Prof|Professor|Doctor|Rev|Reverend|Fr|Sir|Madam|Capt|Captain|Lt|Sgt|Col|Gen|Hon|Judge|Justice|"
    r"Senator|Sen|President|Mayor|Officer|Rabbi|Imam|Pastor|Señor|Señora|Herr|mr|mrs|ms|dr|Frau|Mme|Monsieur|MR|MRS|MS|DR|MISS"
)
_LABELS = (
    r"(?:(?:patient|pt|resident|client|member|subscriber|guarantor|insured|mother|father|spouse|guardian|contact|caregiver|"
    r"maiden|preferred|first|last|middle|full|legal|emergency contact|father's|mother's|patient's|child's)\s?)?"
    r"(?:names?|patient|pt|resident|client|attending|physician|surgeon|assistant|anesthesiologist|provider|pcp|nurse|"
    r"therapist|radiologist|pathologist|cardiologist|consultant|clinician|author|contact|guardian|next of kin|nok|"
    r"spouse|caregiver|interpreter|witness|informant|attorney|subject|from|to|cc|re|by|doctor|dr|"
    r"hcp|poa|proxy)"
)
_ACTS = (
    r"(?:dictated|signed|seen|referred|reviewed|transcribed|prepared|performed|electronically signed|interviewed|"
    r"examined|verified|entered|ordered|authored|read|assisted|accompanied|cosigned|evaluated|operated on) by"
)
_CREDENTIALS = (
    r"(?:M\.?\s?D\.?|D\.O\.?|R\.?N\.?|N\.P\.?|FNP|ARNP|APRN|CRNA|LPN|Ph\.?\s?D\.?|PA-C|P\.A\.?|DDS|DMD|DPM|DVM|LCSW|MSW|PT|OT|"
    r"PharmD|FACS|FACC|MBBS|BSN|MSN|CNM|RPh|Psy\.?D\.?|Esq\.?|Jr\.?|Sr\.?|III)"
)
_RELATIONS = (
    r"wife|husband|son|daughter|mother|father|brother|sister|friend|partner|spouse|fianc[eé]e?|girlfriend|boyfriend|neighbou?r|"
    r"aunt|uncle|cousin|niece|nephew|grandson|granddaughter|grandmother|grandfather|roommate|caregiver|attorney|lawyer|nurse|"
    r"therapist|doctor|physician|surgeon|dentist|interpreter|sponsor|boss|colleague|named|called|nicknamed"
)


@dataclass(frozen=True)
class CueRule:
    """`pattern` marks a possible name as group `name`; the flags say what the recognizer asks of its words.

    A group `prose` that matches shows running text after the name, which then needs support ('Patient: Yes I do').
    trusts_first: the first word is a name even if it is an ordinary word ('Dr. White').
    skips_blocked: ordinary words before the name are passed over ('Attending Jane Roe, MD').
    needs_support: a single word must be a listed name. needs_list: one word must be a listed surname.
    needs_pair: two words must be more than initials.
    """

    pattern: re.Pattern[str]
    score: float
    trusts_first: bool = False
    skips_blocked: bool = False
    needs_support: bool = False
    needs_list: bool = False
    needs_pair: bool = False


RULES = (
    CueRule(re.compile(rf"\b(?:{_TITLES})\b\.?\s{{1,3}}{_NO_COMMA}"), 0.85, trusts_first=True),
    CueRule(re.compile(rf"\b(?i:{_LABELS})\s?[:#]\s{{0,4}}{_FULL}(?P<prose>\s[a-z])?"), 0.85),
    CueRule(re.compile(rf"\b(?i:{_ACTS})\s?:?\s{{1,2}}{_NO_COMMA}"), 0.8),
    CueRule(re.compile(rf"(?<![\w'-]){_NO_COMMA},\s?{_CREDENTIALS}(?!\w)"), 0.8, skips_blocked=True),
    CueRule(re.compile(rf"(?<![\w'-]){_NO_COMMA}\s{_CREDENTIALS}(?!\w)"), 0.7, skips_blocked=True, needs_support=True),
    CueRule(re.compile(rf"(?<=[\w,;] )(?P<name>(?:{_UP}\.[ -]?){{1,3}}{_PARTICLE}{_WORD})(?!\w)"), 0.6),
    CueRule(
        re.compile(rf"(?<![\w'.-])(?P<name>(?:{_UP}\.[ -]?){{1,3}}{_PARTICLE}{_WORD})(?!\w)"), 0.5, needs_list=True
    ),
    CueRule(re.compile(rf"\b(?i:name(?: is| was|'s|\s?\?)),?\s{{1,2}}{_NO_COMMA}"), 0.8),
    CueRule(re.compile(rf"(?<![\w'.-])(?P<name>{_WORD} {_UP}\. {_PARTICLE}{_WORD})(?!\w)"), 0.6, needs_pair=True),
    CueRule(
        re.compile(rf"(?<![\w'.-])(?P<name>{_WORD} {_UP} {_WORD})(?!\w)"), 0.5, needs_support=True, needs_pair=True
    ),
    CueRule(re.compile(rf"\b(?:[Bb]y|[Pp]er) {_NO_COMMA}"), 0.5, needs_pair=True),
    CueRule(
        re.compile(rf"\b(?i:dear|hi|hello|hey|regards|sincerely|thanks|thank you|yours),?\s{{1,3}}{_NO_COMMA}"), 0.7
    ),
    CueRule(
        re.compile(rf"\b(?i:I am|I'm|this is|it is|it's|speaking to|spoke (?:with|to)|met)\s{_NO_COMMA}"),
        0.6,
        needs_support=True,
    ),
    CueRule(re.compile(rf"\b(?i:{_RELATIONS}),?\s{_NO_COMMA}"), 0.6),
)
