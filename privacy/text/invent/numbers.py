# SPDX-License-Identifier: Apache-2.0
"""Invented numbers and addresses that identify: telephone, record, account, licence, vehicle, device, ..."""

from __future__ import annotations

from privacy.text import lists
from privacy.text.invent import people
from privacy.text.invent.dice import Dice

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


def phone(dice: Dice) -> str:
    area, line = dice.integer(201, 989), f"{dice.integer(200, 999)}"
    if dice.chance(0.7):
        shape = dice.choose(
            (
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
        )
        number = dice.shaped(shape.replace("{a}", str(area)).replace("{b}", line))
    else:
        number = dice.shaped(
            dice.choose(
                (
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
            )
        )
    if dice.chance(0.1):
        number += dice.choose((" x", " ext ", " ext. ", ", ext. ", " extension ")) + dice.digits(dice.choose((3, 4, 4)))
    return number


def email(dice: Dice) -> str:
    given, family = people.first(dice).split()[0].lower(), people.last(dice).split()[-1].lower()
    local = dice.choose(
        (
            f"{given}.{family}",
            f"{given[0]}{family}",
            f"{given}{dice.digits(2)}",
            f"{family}_{given}",
            f"{given}-{family}",
            f"{family}{dice.digits(3)}",
        )
    )
    word = dice.choose(lists.entries("company_words")).lower().replace(" ", "")
    host = dice.choose((*_HOSTS, f"{word}.com", f"{word}.org", f"{word}.co.uk", "gmail.com", "nhs.example"))
    return f"{''.join(c for c in local if c.isascii())}@{host}"


def url(dice: Dice) -> str:
    word = dice.choose(lists.entries("company_words")).lower().replace(" ", "")
    host = dice.choose(
        (
            f"www.{word}.com",
            f"{word}.org",
            f"portal.{word}.example.org",
            f"{word}health.net",
            f"www.{word}-clinic.co.uk",
        )
    )
    path = dice.choose(
        (
            "",
            "",
            f"/{people.last(dice).lower().replace(' ', '')}",
            f"/u/{dice.digits(5)}",
            f"/patient?id={dice.digits(6)}",
            f"/r/{dice.shaped('^^^^^^')}",
        )
    )
    return dice.choose(("https://", "http://", "", "")) + host + path


def ip(dice: Dice) -> str:
    if dice.chance(0.88):
        return ".".join(str(dice.integer(1, 254)) for _ in range(4))
    return "2001:db8::" + ":".join(f"{dice.integer(1, 65535):x}" for _ in range(dice.integer(2, 4)))


def mrn(dice: Dice) -> str:
    return dice.shaped(
        dice.choose(
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


def ssn(dice: Dice) -> str:
    number = f"{dice.integer(1, 899):03d}-{dice.integer(1, 99):02d}-{dice.digits(4)}"
    roll = dice.uniform()
    if roll < 0.75:
        return number
    return number.replace("-", " ") if roll < 0.85 else number.replace("-", "")


def account(dice: Dice) -> str:
    return dice.shaped(
        dice.choose(
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


def plan_id(dice: Dice) -> str:
    return dice.shaped(
        dice.choose(
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


def license_number(dice: Dice) -> str:
    return dice.shaped(
        dice.choose(
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


def vin(dice: Dice) -> str:
    """17 characters with the check digit of North America."""
    drawn = [dice.choose("0123456789ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(17)]
    drawn[8] = "0"
    rest = sum(_VIN_VALUES[c] * w for c, w in zip(drawn, _VIN_WEIGHTS, strict=True)) % 11
    drawn[8] = "X" if rest == 10 else str(rest)
    return "".join(drawn)


def plate(dice: Dice) -> str:
    return dice.shaped(
        dice.choose(
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


def serial(dice: Dice) -> str:
    return dice.shaped(
        dice.choose(
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


def udi(dice: Dice) -> str:
    base = dice.shaped("(01)0##############"[: 4 + 14])
    return base + dice.choose(
        (
            "",
            dice.shaped("(17)2#0#1#(10)@####"),
            dice.shaped("(21)@@#######"),
            dice.shaped("(11)2#0#1#(17)3#0#1#(10)@##"),
        )
    )


def accession(dice: Dice) -> str:
    return dice.shaped(
        dice.choose(
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


def identifier(dice: Dice) -> str:
    return dice.shaped(
        dice.choose(
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


def case_no(dice: Dice) -> str:
    return dice.shaped(
        dice.choose(
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


def money(dice: Dice) -> str:
    amount = dice.choose(
        (
            f"{dice.integer(1, 999)}",
            f"{dice.integer(1, 999)},{dice.digits(3)}",
            f"{dice.integer(1, 99)}.{dice.digits(2)}",
            f"{dice.integer(1, 9)},{dice.digits(3)},{dice.digits(3)}",
            f"{dice.integer(1, 9)}.{dice.digits(1)} million",
        )
    )
    return f"{dice.choose(_CURRENCIES)}{amount}" if dice.chance(0.65) else f"{amount} {dice.choose(_CURRENCY_WORDS)}"
