# SPDX-License-Identifier: Apache-2.0
"""What the recognizer of devices must find and what it must leave alone. All examples are invented."""

from __future__ import annotations

import pytest

from privacy.text.find.recognizers import devices
from privacy.text.settings import TextSettings

RECOGNIZER = devices.build(TextSettings())

# What stands in brackets must be found whole.
FOUND = [
    "S/N: [AB-44710-X]",
    "serial number [PZK600123S]",
    "SN [44710233]",
    "Serial # | [LX44710]",
    "Lot [44K710A]",
    "lot no. [K44710]",
    "model no. [5076-52]",
    "UDI [(01)00844588003288(17)141120(10)7654321D(21)10987654d321]",
    "[+H123PARTNO1234567890120/$$420020216LOT123] scanned",
    "[=/A9999XYZ100T0944=,000025=A99971312345600] bag",
    "unit [W1234 17 123456] hung",
    "pacemaker [PZK600123]",
    "IMEI: [490154203237518]",
    "Ref: [QK7-7713-LL]",
    "device id = [DX-44710]",
]

KEPT = [
    "stent 3.5 x 12 mm",
    "lead V1-V6",
    "pump at 12 mL/h",
    "model was fit",
    "a lot of 2000 cases",
    "sensor 120 mg/dL",
    "+2 edema",
    "pacemaker in 2 leads",
    "valve area 1.2",
    "Foley 16 French",
]


@pytest.mark.parametrize("marked", FOUND)
def test_devices_finds(marked: str) -> None:
    start, end = marked.index("["), marked.rindex("]") - 1
    text = marked[:start] + marked[start + 1 : end + 1] + marked[end + 2 :]
    covered = {i for finding in RECOGNIZER.find(text) for i in range(finding.start, finding.end)}
    assert covered.issuperset(range(start, end))


@pytest.mark.parametrize("text", KEPT)
def test_devices_leaves_alone(text: str) -> None:
    assert RECOGNIZER.find(text) == []
