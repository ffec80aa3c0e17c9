# SPDX-License-Identifier: Apache-2.0
"""The figures of bench-utility over epsilon as one SVG: a panel a corpus, with the lines of what is not private.

Written by hand, because no plotting library is a dependency. The horizontal axis is logarithmic, the vertical one is
the panel's own; a figure that was not measured is not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from simulations.benchmarks.report import Row
from simulations.benchmarks.utility_grid import CORPORA

WIDTH, HEIGHT, LEFT, TOP, ACROSS, DOWN = 330, 300, 52, 40, 200, 200
EPSILONS = {8: "federated_eps8", 3: "federated_eps3", 1: "federated_eps1"}
LINES = {
    "central_full": ("full, all rows in one place", "#222222", "6 3"),
    "federated": ("federated, not private", "#1f6fb2", "6 3"),
    "best_site_alone": ("best site alone, not private", "#b25d1f", "2 3"),
}
MEASURES = {name: "entity F1" if corpus.marks_spans else "accuracy" for name, corpus in CORPORA.items()}
Key = TypeVar("Key", int, str)
TEXT = "font-family='sans-serif' font-size='11'"


def draw(rows: Mapping[str, Row], corpora: list[str]) -> str:
    """The whole picture."""
    width, height = WIDTH * len(corpora), HEIGHT + 20
    panels = [_panel(rows, corpus, at * WIDTH) for at, corpus in enumerate(corpora)]
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>"
    return "\n".join([head, "<rect width='100%' height='100%' fill='white'/>", *panels, _legend(), "</svg>", ""])


@dataclass(frozen=True)
class _Axes:
    """Where a panel draws: epsilons from 1 to 8 across, on a logarithmic axis, figures from `low` to `high` upwards."""

    low: float
    high: float

    @classmethod
    def around(cls, figures: Sequence[float]) -> _Axes:
        """Whole tenths around the figures."""
        low, high = math.floor(min(figures) * 10 - 0.2) / 10, math.ceil(max(figures) * 10 + 0.2) / 10
        return cls(max(low, 0.0), min(high, 1.0))

    def x(self, epsilon: float) -> float:
        return 20 + (ACROSS - 40) * math.log(epsilon) / math.log(8)

    def y(self, value: float) -> float:
        return TOP + DOWN * (self.high - value) / (self.high - self.low)


def _panel(rows: Mapping[str, Row], corpus: str, left: int) -> str:
    points = _known(rows, {epsilon: f"{corpus}_{name}" for epsilon, name in EPSILONS.items()})
    lines = _known(rows, {name: f"{corpus}_{name}" for name in LINES})
    if not (points or lines):
        return ""
    axes = _Axes.around([*points.values(), *lines.values()])
    title = f"<text x='0' y='{TOP - 12}' {TEXT} font-weight='bold'>{corpus}: {MEASURES[corpus]}</text>"
    parts = [title, *_frame(axes), *_levels(axes, lines), *_curve(axes, points)]
    return f"<g transform='translate({left + LEFT},0)'>{''.join(parts)}</g>"


def _frame(axes: _Axes) -> Iterator[str]:
    """The box, its grid and what stands along its axes."""
    yield f"<rect x='0' y='{TOP}' width='{ACROSS}' height='{DOWN}' fill='none' stroke='#999'/>"
    for step in range(round(axes.low * 10), round(axes.high * 10) + 1):
        y = axes.y(step / 10)
        yield f"<text x='-8' y='{y + 4:.1f}' {TEXT} text-anchor='end'>{step / 10:.1f}</text>"
        yield f"<line x1='0' x2='{ACROSS}' y1='{y:.1f}' y2='{y:.1f}' stroke='#eee'/>"
    for epsilon in EPSILONS:
        x = axes.x(epsilon)
        yield f"<text x='{x:.1f}' y='{TOP + DOWN + 16}' {TEXT} text-anchor='middle'>{epsilon}</text>"
    yield f"<text x='{ACROSS / 2}' y='{TOP + DOWN + 32}' {TEXT} text-anchor='middle'>epsilon at each site</text>"


def _levels(axes: _Axes, lines: Mapping[str, float]) -> Iterator[str]:
    """A level line for each figure that is not private, from the highest down, each label below the one before."""
    below = TOP - 20.0  # where the label above this one stands
    for name, value in sorted(lines.items(), key=_highest):
        _, colour, dash = LINES[name]
        below = max(axes.y(value) + 4, below + 12)
        yield _line(0, ACROSS, axes.y(value), colour, dash)
        yield f"<text x='{ACROSS + 4}' y='{below:.1f}' {TEXT} fill='{colour}'>{value:.3f}</text>"


def _curve(axes: _Axes, points: Mapping[int, float]) -> Iterator[str]:
    """The private figures over epsilon."""
    there = [(axes.x(epsilon), axes.y(value), value) for epsilon, value in sorted(points.items())]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in there)
    yield f"<polyline points='{path}' fill='none' stroke='#1f6fb2' stroke-width='2'/>"
    for x, y, value in there:
        yield f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3.5' fill='#1f6fb2'/>"
        yield f"<text x='{x:.1f}' y='{y + 16:.1f}' {TEXT} text-anchor='middle'>{value:.3f}</text>"


def _highest(line: tuple[str, float]) -> float:
    return -line[1]


def _line(start: float, end: float, y: float, colour: str, dash: str) -> str:
    return f"<line x1='{start}' x2='{end}' y1='{y:.1f}' y2='{y:.1f}' stroke='{colour}' stroke-dasharray='{dash}'/>"


def _legend() -> str:
    y, parts = HEIGHT + 2, []
    entries = [("federated, private", "#1f6fb2", ""), *LINES.values()]
    for at, (words, colour, dash) in enumerate(entries):
        x = LEFT + at * 220
        parts.append(_line(x, x + 28, y, colour, dash))
        parts.append(f"<text x='{x + 34}' y='{y + 4}' {TEXT}>{words}</text>")
    return "".join(parts)


def _known(rows: Mapping[str, Row], names: Mapping[Key, str]) -> dict[Key, float]:
    """The figure of each named row that was measured."""
    known = {key: rows.get(name) for key, name in names.items()}
    return {key: float(row.value) for key, row in known.items() if row is not None and row.value is not None}
