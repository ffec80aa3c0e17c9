# SPDX-License-Identifier: Apache-2.0
"""The floor plan of a package, drawn from its imports: its rooms, on which floors they stand, which arrows lead where.

A room is a folder or a file that lies directly in the package. A wing (privacy/text, client/learning) is opened one
level further: its folders and files are the rooms. The __init__ of the package or of a wing is no room: it is the door.
An arrow says that one room imports another, wherever in the file: at its top, in a function, or for the types alone. A
room stands one floor above the highest room that it imports. Where rooms import each other in a circle, arrows lead
back up: the fewest that, taken away, leave no circle.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from pathlib import Path

PACKAGES = ("client", "coordinator", "privacy", "simulations")
WINGS = ("privacy.text", "client.learning")
SEARCHED_WHOLE = 7
"""Circles of more rooms than this are not put in their best order by trying all orders."""

Arrow = tuple[str, str]


@dataclass(frozen=True)
class Plan:
    """The rooms of `package` by floor, the lowest floor first, its arrows, those that lead back up, and its circles."""

    package: str
    floors: tuple[tuple[str, ...], ...]
    arrows: tuple[Arrow, ...]
    back_up: tuple[Arrow, ...]
    circles: tuple[tuple[str, ...], ...]

    @property
    def rooms(self) -> int:
        return sum(map(len, self.floors))

    def lines(self) -> Iterator[str]:
        """The picture as text: each floor, the highest first, and under it what its rooms import."""
        counts = (self.rooms, len(self.floors), len(self.arrows), len(self.back_up), len(self.circles))
        yield "{}: {} rooms, {} floors, {} arrows, {} back up, {} circles".format(self.package, *counts)
        for height, floor in reversed(list(enumerate(self.floors, start=1))):
            for at, room in enumerate(floor):
                below = ", ".join(to for source, to in self.arrows if source == room)
                yield f"  {height if at == 0 else '':>2}  {room:<22}{' -> ' + below if below else ''}".rstrip()
        for circle in self.circles:
            yield "  circle: " + " <-> ".join(circle)
        for source, to in self.back_up:
            yield f"  back up: {source} -> {to}"


def house_plan(root: Path) -> Plan:
    """The plan of the whole house: each package is one room."""
    names = [name for name in (*PACKAGES, "benchmarks") if (root / name).is_dir()]
    arrows = {
        (source, to)
        for source in names
        for _, module in _all_imports(root, source)
        if (to := module.partition(".")[0]) in names and to != source
    }
    return plan_of("house", names, arrows)


def package_plan(root: Path, package: str) -> Plan:
    """The plan of one package of the tree at `root`."""
    imports = [(source, to) for source, to in _all_imports(root, package) if f"{to}.".startswith(f"{package}.")]
    sources = {room for module in _modules(root, package) if (room := room_of(module, package))}
    arrows = {
        (above, below)
        for source, to in imports
        if (above := room_of(source, package)) and (below := room_of(to, package)) and above != below
    }
    return plan_of(package, sources, arrows)


def module_circles(root: Path) -> tuple[tuple[str, ...], ...]:
    """The circles of single files in the house. Imports for the types alone do not count: nothing runs because of them.

    A file imports each package above it too, whose __init__ is run first; that way is not followed.
    """
    below: dict[str, set[str]] = {name: set() for package in PACKAGES for name in _modules(root, package)}
    for package in PACKAGES:
        for source, to in _all_imports(root, package, for_types=False):
            if to in below and to != source:
                below[source].add(to)
    return _circles(sorted(below), below)


def room_of(module: str, package: str) -> str | None:
    """`room` or `wing/room` that a dotted name lies in; None for the door of the package or of a wing."""
    parts = module.removeprefix(package).strip(".").split(".")
    wing = f"{package}.{parts[0]}" in WINGS
    inside = parts[: 2 if wing else 1]
    return None if inside == [""] or (wing and len(parts) == 1) else "/".join(inside)


def plan_of(package: str, rooms: Iterable[str], arrows: Iterable[Arrow]) -> Plan:
    """The plan of these rooms and arrows."""
    names, drawn = sorted(rooms), sorted(set(arrows))
    below = {room: {to for source, to in drawn if source == room} for room in names}
    circles = _circles(names, below)
    back_up = tuple(arrow for circle in circles for arrow in _fewest_back_up(circle, below))
    down = {room: {to for to in below[room] if (room, to) not in back_up} for room in names}

    return Plan(package, _floors(down), tuple(drawn), back_up, circles)


def _floors(down: Mapping[str, set[str]]) -> tuple[tuple[str, ...], ...]:
    """The rooms by height, where no arrow of `down` is part of a circle."""

    @cache
    def height(room: str) -> int:
        return 1 + max(map(height, down[room]), default=0)

    top = max(map(height, down), default=0)
    return tuple(tuple(room for room in down if height(room) == floor) for floor in range(1, top + 1))


def _circles(names: list[str], below: Mapping[str, set[str]]) -> tuple[tuple[str, ...], ...]:
    """The sets of two and more rooms that all reach each other."""
    reached = {room: _reached(room, below) for room in names}
    sets = {tuple(o for o in names if o in reached[room] and room in reached[o]) for room in names}
    return tuple(sorted(circle for circle in sets if len(circle) > 1))


def _reached(room: str, below: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(below[room])
    while waiting:
        if (one := waiting.pop()) not in reached:
            reached.add(one)
            waiting.extend(below[one])
    return reached


def _fewest_back_up(circle: tuple[str, ...], below: Mapping[str, set[str]]) -> list[Arrow]:
    """The fewest arrows within the circle that lead up, over all orders of its rooms (of large circles, over one)."""
    arrows = [(source, to) for source in circle for to in sorted(below[source]) if to in circle]

    def against(order: tuple[str, ...]) -> list[Arrow]:
        at = {room: index for index, room in enumerate(order)}
        return [arrow for arrow in arrows if at[arrow[0]] > at[arrow[1]]]

    if len(circle) <= SEARCHED_WHOLE:
        return min(map(against, permutations(circle)), key=len)
    order: list[str] = []
    while len(order) < len(circle):  # take what most others of the rest import least, from the top
        rest = [room for room in circle if room not in order]
        order.append(min(rest, key=lambda room: sum(to == room and source in rest for source, to in arrows)))
    return against(tuple(order))


def _modules(root: Path, package: str) -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    files = sorted((root / package).rglob("*.py"))
    dotted = {path: ".".join(path.relative_to(root).with_suffix("").parts) for path in files}
    return {name.removesuffix(".__init__"): path for path, name in dotted.items()}


@cache
def _all_imports(root: Path, package: str, *, for_types: bool = True) -> tuple[tuple[str, str], ...]:
    """Every (module, import) of the package; of `from x import y`, x.y where that is a module, and x where not."""
    known = frozenset(name for other in (*PACKAGES, "benchmarks") for name in _modules(root, other))
    return tuple(
        (module, name)
        for module, path in _modules(root, package).items()
        for node in _nodes(ast.parse(path.read_text()), for_types)
        for name in _imported(node, known)
    )


def _nodes(node: ast.AST, for_types: bool) -> Iterator[ast.AST]:
    """All nodes below `node`; without `for_types` none of `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")) if not for_types:
                continue
        yield child
        yield from _nodes(child, for_types)


def _imported(node: ast.AST, known: frozenset[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            raise ValueError(f"line {node.lineno}: imports are absolute in this house")
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name if name in known else str(node.module) for name in names)
