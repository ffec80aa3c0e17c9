# SPDX-License-Identifier: Apache-2.0
"""Split one labelled corpus into the sites of a simulation: by a field, evenly, or skewed by label.

Every row goes to exactly one site, in the corpus's order; the same rows and seed give the same sites. Rows are JSON
objects (id, text, label, and for `by_field` the field). The skewed split is that of Hsu, Qi and Brown, "Measuring the
Effects of Non-Identical Data Distribution" (arXiv:1909.06335): each label spread over the sites by a Dirichlet draw.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from privacy.base.canonical import decimal_string
from privacy.base.errors import SettingsError
from privacy.base.identifiers import SiteId
from privacy.base.randomness import PublicSeed
from simulations.corpora import write_lines

JsonRow = Mapping[str, object]

MOST_SITES: Final = 1000
_REDRAWS: Final = 200


@dataclass(frozen=True)
class SitePartition:
    """Rows by site, sites in sorted order. `recipe` holds rule, seed and alpha as text: it redoes the split."""

    sites: Mapping[SiteId, tuple[JsonRow, ...]]
    recipe: Mapping[str, str]


def read_rows(*files: Path) -> list[JsonRow]:
    """The rows of jsonl files, in order. Raises SettingsError, with file and line, where there is no JSON object."""
    rows: list[JsonRow] = []
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file.name} cannot be read", next_step="name an existing UTF-8 jsonl file") from error
        rows += [_row(line, file.name, number) for number, line in enumerate(lines, 1) if line.strip()]
    return rows


def write_partition(folder: Path, partition: SitePartition) -> None:
    """Write `<site>/rows.jsonl` for each site and then `partition.jsonl` (the recipe, one line), all mode 0600."""
    for site, rows in partition.sites.items():
        (folder / site).mkdir(mode=0o700, parents=True, exist_ok=True)
        write_lines(folder / site / "rows.jsonl", rows)
    write_lines(folder / "partition.jsonl", [partition.recipe])


def site_id(value: str) -> SiteId:
    """`value` as a SiteId: "4_MPlus_Health_Topics" becomes "mplus_health_topics", "12" becomes "site_12"."""
    name = re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_")
    name = re.sub(r"^[0-9_]+(?=[a-z])", "", name)
    if not name:
        raise SettingsError(
            "a value has no letter or digit to name a site by", next_step="clean the field or choose another"
        )
    return (name if name[0].isalpha() else f"site_{name}")[:32].rstrip("_")


def by_field(rows: Sequence[JsonRow], field: str = "client", *, minimum: int = 1) -> SitePartition:
    """One site for each value of `field`, named by `site_id`.

    Raises SettingsError when a row lacks the field, two values get one name, or a site has fewer than `minimum` rows.
    """
    values = [_text(row, field, at) for at, row in enumerate(rows)]
    names = {value: site_id(value) for value in set(values)}
    shared = [name for name, count in Counter(names.values()).items() if count > 1]
    if shared:
        raise SettingsError(
            f"several values of '{field}' would share the site name {min(shared)}",
            next_step="rename the values so that their letters and digits differ",
        )
    return _partition(
        rows, [names[value] for value in values], sorted(names.values()), minimum, {"rule": f"by_field:{field}"}
    )


def uniform(rows: Sequence[JsonRow], sites: int, seed: PublicSeed, *, minimum: int = 1) -> SitePartition:
    """`sites` random sites whose sizes differ by one row at most. Raises SettingsError if a site gets too few."""
    names = _site_names(rows, sites, minimum)
    order = seed.derive("partition/uniform").numpy_generator().permutation(len(rows))
    homes = [""] * len(rows)
    for place, row in enumerate(order.tolist()):
        homes[row] = names[place % sites]
    return _partition(rows, homes, names, minimum, {"rule": "uniform", "seed": seed.hex()})


def dirichlet(
    rows: Sequence[JsonRow], sites: int, alpha: float, seed: PublicSeed, *, minimum: int = 1
) -> SitePartition:
    """`sites` sites, each label spread over them by proportions drawn from a symmetric Dirichlet(alpha).

    A small alpha (0.1) gives sites of few labels, a large one (100) equal mixes. When a site would have fewer than
    `minimum` rows, all is drawn again from the same seed, 200 times at most; then SettingsError.
    """
    names = _site_names(rows, sites, minimum)
    if not 1e-3 <= alpha <= 1e6:
        raise SettingsError(f"alpha {alpha} is outside 0.001 to 1000000", next_step="choose for example 0.5")
    labels = [_text(row, "label", at) for at, row in enumerate(rows)]
    recipe = {"rule": "dirichlet", "seed": seed.hex(), "alpha": decimal_string(alpha)}
    for draw in range(_REDRAWS):
        homes = _dirichlet_homes(labels, sites, alpha, seed.derive(f"partition/dirichlet/{draw}"))
        if np.bincount(homes, minlength=sites).min() >= minimum:
            return _partition(rows, [names[home] for home in homes], names, minimum, recipe)
    raise SettingsError(
        f"no split of {len(rows)} rows into {sites} sites at alpha {alpha} left every site {minimum} rows",
        next_step="take fewer sites, a larger alpha, a smaller minimum or another seed",
    )


def _dirichlet_homes(labels: Sequence[str], sites: int, alpha: float, seed: PublicSeed) -> list[int]:
    generator = seed.numpy_generator()
    homes = np.zeros(len(labels), dtype=np.int64)
    of_row = np.array(labels, dtype=object)
    for label in sorted(set(labels)):
        members = generator.permutation(np.flatnonzero(of_row == label))
        shares = generator.dirichlet(np.full(sites, alpha))
        cuts = np.round(np.cumsum(shares)[:-1] * len(members)).astype(np.int64)
        for home, part in enumerate(np.split(members, cuts)):
            homes[part] = home
    return [int(home) for home in homes]


def _partition(
    rows: Sequence[JsonRow], homes: Sequence[SiteId], names: Iterable[SiteId], minimum: int, recipe: Mapping[str, str]
) -> SitePartition:
    members_of: dict[SiteId, list[JsonRow]] = {name: [] for name in names}
    for row, home in zip(rows, homes, strict=True):
        members_of[home].append(row)
    smallest = min(members_of, key=lambda name: len(members_of[name]), default=None)
    if smallest is None or len(members_of[smallest]) < minimum:
        have = "no site has rows" if smallest is None else f"site {smallest} has {len(members_of[smallest])} rows"
        raise SettingsError(f"{have}, at least {minimum} are needed", next_step="take fewer sites or a smaller minimum")
    return SitePartition({name: tuple(members) for name, members in members_of.items()}, recipe)


def _site_names(rows: Sequence[JsonRow], sites: int, minimum: int) -> list[SiteId]:
    if not 1 <= sites <= MOST_SITES:
        raise SettingsError(f"{sites} sites are outside 1 to {MOST_SITES}", next_step="choose a number in that range")
    if minimum < 1 or sites * minimum > len(rows):
        raise SettingsError(
            f"{len(rows)} rows cannot give {sites} sites {minimum} rows each (and a site needs at least one)",
            next_step="take fewer sites or a smaller minimum",
        )
    if any("patient_id" in row for row in rows):
        raise SettingsError(
            "this split would tear a patient's rows apart, and with them the privacy unit",
            next_step="split such a corpus by a field that is constant for each patient",
        )
    width = len(str(sites))
    return [f"site_{number:0{width}d}" for number in range(1, sites + 1)]


def _text(row: JsonRow, field: str, at: int) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value:
        raise SettingsError(f"row {at + 1} has no text in '{field}'", next_step="name a field that every row fills")
    return value


def _row(line: str, file: str, number: int) -> JsonRow:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise SettingsError(f"line {number} of {file} is no JSON object", next_step="write one JSON object a line")
    return row
