# SPDX-License-Identifier: Apache-2.0
"""Device identifiers and serial numbers (Safe Harbor row 13): by label, and unique device identifiers by shape.

Sources of the shapes: the three agencies that issue UDIs for the FDA, GS1 (application identifiers 01, 10, 11, 17, 21),
HIBCC (+...) and ICCBBA (=/...).
"""

from __future__ import annotations

import re

from privacy.text.find.recognizers._labels import labelled, marked
from privacy.text.find.recognizers._rules import PatternRule, Rules
from privacy.text.settings import TextSettings

_STRONG = (
    r"S/N|SN|S\.N\.|serials?|ser(?=\s?(?:no|#|\.))|UDI(?:-?(?:DI|PI))?|GTIN|GUDID|IMEI|MEID|IMSI|ICCID|ESN|"
    r"(?:device|implant)\s(?:id(?:entifier)?|serial|ref(?:erence)?)|"
    r"(?:lot|batch|model|catalog(?:ue)?|cat|asset|part|product)(?:\s?(?:#|nos?|numbers?|nr|id|code)(?![A-Za-z]))|LOT|REF(?=\s?[:#])"
)
_BODIES = (
    r"device(?:\s(?:id(?:entifier)?|serial|ref(?:erence)?))?|implant(?:\s(?:id|serial))?|pacemaker|pacer|PPM|ICD\s(?:serial|device|generator)|"
    r"CRT-?[DP]|generator|defibrillator|stimulator|insulin\spump|glucose\smonitor|CGM|hearing\said|prosthesis|transmitter|sensor"
)
_EVERYDAY = (
    r"lot|batch|model|ref|catalog(?:ue)?|asset|leads?|pump|stent|valve|monitor|ventilator|machine|unit|probe|scope|cpap|bipap|"
    r"device|implant|loop\srecorder|equipment|barcode|tracker|wearable|phone\sserial|meter|graft|mesh|screw|plate|cup|stem|liner|lens|IOL"
)
_GS1 = r"\(01\)\s?\d{14}(?:\s?\((?:10|11|13|17|21|30|240|250|8008)\)\s?[\w./+-]{1,20}){0,6}"
_GS1_BARE = r"(?<!\d)01\d{14}(?:1[17]\d{6}){1,2}(?:(?:10|21)[A-Z0-9-]{1,20}){0,2}(?![A-Za-z0-9])"
_HIBCC = r"(?<![\w+])\+[A-Z]\d{3}[A-Z0-9]{2,19}(?:/[$+A-Z0-9.-]{2,30}){0,4}(?![A-Za-z0-9])"
_ICCBBA = r"=/[A-Z0-9]{16,20}(?:[=&][,>}]?[A-Z0-9]{4,20}){0,6}"
_DONATION = r"(?<![\w-])=?[A-Z]\d{4}[ -]?\d{2}[ -]?\d{6}(?:[ -]?\d{2})?(?:[ -]?[A-Z])?(?![A-Za-z0-9])"


def build(settings: TextSettings) -> Rules:
    """The device recognizer; needs no settings."""

    def shape(score: float, pattern: str) -> PatternRule:
        return PatternRule("DEVICE_ID", score, re.compile(pattern))

    return Rules(
        "devices",
        [
            labelled("DEVICE_ID", _STRONG, 0.65),
            labelled("DEVICE_ID", _BODIES, 0.6, digits=4, characters=6),
            marked("DEVICE_ID", _EVERYDAY, 0.6, digits=2, characters=5),
            shape(0.85, _GS1),
            shape(0.7, _GS1_BARE),
            shape(0.8, _HIBCC),
            shape(0.8, _ICCBBA),
            shape(0.6, _DONATION),
        ],
    )
