# SPDX-License-Identifier: Apache-2.0
"""Invented numbers and addresses that identify: telephone, record, account, licence, vehicle, device, ..."""

from __future__ import annotations

from privacy.text import lists
from privacy.text.invent import people
from privacy.text.invent.rng import Rng

_VIN_VALUES = dict(
    zip(
        "0123456789ABCDEFGHJKLMNPRSTUVWXYZ", (*range(10), *range(1, 9), 1, 2, 3, 4, 5, 7, 9, *range(2, 10)), strict=True
    )
)
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_HOSTS = (
    "example.org",
    "example.com",
    "example.net",
    "mail.example",
    "clinic.example.org",
    "hosp.local",
    "ward3.internal",
    "corp.lan",
)
_CURRENCIES = ("$", "£", "€", "US$", "USD ", "EUR ", "GBP ", "Rs. ", "CHF ", "R", "₹", "A$")
_CURRENCY_WORDS = (
    "euros",
    "dollars",
    "pounds",
    "rupees",
    "Turkish liras",
    "Swiss francs",
    "kronor",
    "zlotys",
    "pesos",
    "rand",
    "yen",
    "forints",
)


_AMERICAN_PHONES = (
    "({a}) {b}-####",
    "({a}) {b}-####",
    "{a}-{b}-####",
    "{a}-{b}-####",
    "{a}.{b}.####",
    "{a} {b} ####",
    "+1 {a} {b} ####",
    "1-{a}-{b}-####",
    "{b}-####",
    "({a}){b}-####",
    "+1-{a}-{b}-####",
    "{a}{b}####",
)
_OTHER_PHONES = (
    "+44 20 #### ####",
    "020 #### ####",
    "+44 7### ######",
    "07### ######",
    "01### ######",
    "+49 30 ########",
    "+33 1 ## ## ## ##",
    "06 ## ## ## ##",
    "+91 9#### #####",
    "+61 4## ### ###",
    "(0#) #### ####",
    "+27 ## ### ####",
    "0#########",
    "+234 80# ### ####",
    "+353 1 ### ####",
    "0049 ### #######",
)


def phone(rng: Rng) -> str:
    area, line = rng.integer(201, 989), f"{rng.integer(200, 999)}"
    if rng.chance(0.7):
        number = rng.shaped(rng.choose(_AMERICAN_PHONES).replace("{a}", str(area)).replace("{b}", line))
    else:
        number = rng.shaped(rng.choose(_OTHER_PHONES))
    if rng.chance(0.1):
        number += rng.choose((" x", " ext ", " ext. ", ", ext. ", " extension ")) + rng.digits(rng.choose((3, 4, 4)))
    return number


def email(rng: Rng) -> str:
    given, family = people.first(rng).split()[0].lower(), people.last(rng).split()[-1].lower()
    local = rng.choose(
        (
            f"{given}.{family}",
            f"{given[0]}{family}",
            f"{given}{rng.digits(2)}",
            f"{family}_{given}",
            f"{given}-{family}",
            f"{family}{rng.digits(3)}",
        )
    )
    word = rng.choose(lists.entries("company_words")).lower().replace(" ", "")
    host = rng.choose((*_HOSTS, f"{word}.com", f"{word}.org", f"{word}.co.uk", "gmail.com", "nhs.example"))
    return f"{''.join(c for c in local if c.isascii())}@{host}"


def url(rng: Rng) -> str:
    word = rng.choose(lists.entries("company_words")).lower().replace(" ", "")
    host = rng.choose(
        (
            f"www.{word}.com",
            f"{word}.org",
            f"portal.{word}.example.org",
            f"{word}health.net",
            f"www.{word}-clinic.co.uk",
        )
    )
    path = rng.choose(
        (
            "",
            "",
            f"/{people.last(rng).lower().replace(' ', '')}",
            f"/u/{rng.digits(5)}",
            f"/patient?id={rng.digits(6)}",
            f"/r/{rng.shaped('^^^^^^')}",
        )
    )
    return rng.choose(("https://", "http://", "", "")) + host + path


def ip(rng: Rng) -> str:
    if rng.chance(0.88):
        return ".".join(str(rng.integer(1, 254)) for _ in range(4))
    return "2001:db8::" + ":".join(f"{rng.integer(1, 65535):x}" for _ in range(rng.integer(2, 4)))


def mrn(rng: Rng) -> str:
    return rng.shaped(
        rng.choose(
            (
                "#######",
                "#######",
                "########",
                "######",
                "@@######",
                "@#######",
                "##-##-##",
                "###-##-###",
                "@@@-#####",
                "#########",
                "##########",
                "@@-######",
                "###-####",
            )
        )
    )


def ssn(rng: Rng) -> str:
    number = f"{rng.integer(1, 899):03d}-{rng.integer(1, 99):02d}-{rng.digits(4)}"
    roll = rng.uniform()
    if roll < 0.75:
        return number
    return number.replace("-", " ") if roll < 0.85 else number.replace("-", "")


def account(rng: Rng) -> str:
    return rng.shaped(
        rng.choose(
            (
                "########",
                "##########",
                "@#########",
                "####-####-####",
                "@@-#######",
                "#########",
                "######",
                "###-######-#",
                "############",
            )
        )
    )


def plan_id(rng: Rng) -> str:
    return rng.shaped(
        rng.choose(
            (
                "@@@#########",
                "@@##########",
                "#########",
                "@@@@#######",
                "###########",
                "#@@#-@@#-@@##",
                "@########",
                "##########-##",
                "@@@-###-####",
                "W#########",
                "#### ### ####",
            )
        )
    )


def license_number(rng: Rng) -> str:
    return rng.shaped(
        rng.choose(
            (
                "@#######",
                "##########",
                "@@#######",
                "@@-#####",
                "@####-#####-#####",
                "@#-###-###",
                "######",
                "@########",
                "#########",
                "RN######",
                "MD#####",
                "@@##########",
            )
        )
    )


def vin(rng: Rng) -> str:
    """17 characters with the check digit of North America."""
    drawn = [rng.choose("0123456789ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(17)]
    drawn[8] = "0"
    rest = sum(_VIN_VALUES[c] * w for c, w in zip(drawn, _VIN_WEIGHTS, strict=True)) % 11
    drawn[8] = "X" if rest == 10 else str(rest)
    return "".join(drawn)


def plate(rng: Rng) -> str:
    return rng.shaped(
        rng.choose(
            (
                "@@@-####",
                "@@@ ####",
                "#@@@###",
                "@@@ ###",
                "@@##@@@",
                "@@## @@@",
                "###-@@@",
                "@@@####",
                "@##-##@",
                "@@-###-@@",
                "@ ######",
                "@@@-###",
            )
        )
    )


def serial(rng: Rng) -> str:
    return rng.shaped(
        rng.choose(
            (
                "@@@######",
                "@########",
                "##########",
                "@@-######",
                "@@@#######@",
                "####-####",
                "@##@####",
                "@@######-##",
                "########",
                "@@#-####-###",
            )
        )
    )


def udi(rng: Rng) -> str:
    base = rng.shaped("(01)0##############"[: 4 + 14])
    return base + rng.choose(
        (
            "",
            rng.shaped("(17)2#0#1#(10)@####"),
            rng.shaped("(21)@@#######"),
            rng.shaped("(11)2#0#1#(17)3#0#1#(10)@##"),
        )
    )


def accession(rng: Rng) -> str:
    return rng.shaped(
        rng.choose(
            (
                "@##-#####",
                "@@-##-######",
                "##-@@-#####",
                "@########",
                "########",
                "@@@-##-####",
                "##########",
                "2#-#######",
                "@@##-####",
                "@#######",
            )
        )
    )


def identifier(rng: Rng) -> str:
    return rng.shaped(
        rng.choose(
            (
                "@@######",
                "########",
                "#######",
                "@@@-#####",
                "@#########",
                "####-@@-###",
                "^^^^^^^^",
                "##-######",
                "@@@#######",
                "^^^^-^^^^-^^^^",
                "##########",
                "@-######",
                "#####/##",
                "@####@",
            )
        )
    )


def case_no(rng: Rng) -> str:
    return rng.shaped(
        rng.choose(
            (
                "#####/##",
                "####/20##",
                "## @@ ###/##",
                "20##/####",
                "@@-20##-######",
                "@-###/##",
                "20## @@ ####",
                "##-@@-####",
                "[20##] @@@@ ###",
                "######/20##",
                "III @@ ###/##",
                "#:##-cv-#####",
            )
        )
    )


def money(rng: Rng) -> str:
    amount = rng.choose(
        (
            f"{rng.integer(1, 999)}",
            f"{rng.integer(1, 999)},{rng.digits(3)}",
            f"{rng.integer(1, 99)}.{rng.digits(2)}",
            f"{rng.integer(1, 9)},{rng.digits(3)},{rng.digits(3)}",
            f"{rng.integer(1, 9)}.{rng.digits(1)} million",
        )
    )
    return f"{rng.choose(_CURRENCIES)}{amount}" if rng.chance(0.65) else f"{amount} {rng.choose(_CURRENCY_WORDS)}"
