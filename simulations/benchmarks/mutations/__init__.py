# SPDX-License-Identifier: Apache-2.0
"""Our own mutations: faults that a test must find, one list a package, each with the tests that were made to find it.

A list is a TOML file of `[[mutation]]` tables: `name`, `file`, `old` (stands in the file exactly once), `new`, `tests`
(files or test ids), `select` (pytest's -k, where a file has many), and `quick = true` for those that CI runs.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
FOLDER: Final = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Mutation:
    """One fault: `old` in `file` becomes `new`, and at least one of `tests` must fail."""

    package: str
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    select: str = ""
    quick: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """What pytest is given."""
        return (*(("-k", self.select) if self.select else ()), *self.tests)

    @property
    def label(self) -> str:
        return f"{self.package}/{self.name}"

    def applied(self, text: str) -> str:
        """The mutated text of the file. Raises ValueError unless the place is there once and changes."""
        if text.count(self.old) != 1 or self.old == self.new:
            raise ValueError(f"{self.label}: its place stands {text.count(self.old)} times in {self.file}, not once")
        return text.replace(self.old, self.new)

    def key(self, root: Path) -> str:
        """Changes with the mutation, the file and its tests: a kept result is of exactly these."""
        files = [self.file, *(test.split("::")[0] for test in self.tests)]
        parts = [self.old, self.new, *self.arguments, *((root / file).read_text(encoding="utf-8") for file in files)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def load(folder: Path = FOLDER, *, only_quick: bool = False) -> list[Mutation]:
    """All lists, in the order of their names; of them all, or what CI runs."""
    mutations: list[Mutation] = []
    for path in sorted(folder.glob("*.toml")):
        for held in tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]:
            tests = tuple(held.pop("tests"))
            mutations.append(Mutation(package=path.stem, tests=tests, **held))
    return [mutation for mutation in mutations if mutation.quick] if only_quick else mutations
