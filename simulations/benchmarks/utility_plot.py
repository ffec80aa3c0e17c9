# SPDX-License-Identifier: Apache-2.0
"""The figures of bench-utility over epsilon as one SVG: a panel a corpus, with the lines of what is not private.

Written by hand, because no plotting library is a dependency. The horizontal axis is logarithmic, the vertical one is
the panel's own; a figure that was not measured is not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

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
TEXT = "font-family='sans-serif' font-size='11'"


def draw(rows: Mapping[str, Row], corpora: list[str]) -> str:
    """The whole picture."""
    width, height = WIDTH * len(corpora), HEIGHT + 20
    panels = [_panel(rows, corpus, at * WIDTH) for at, corpus in enumerate(corpora)]
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>"
    return "\n".join([head, "<rect width='100%' height='100%' fill='white'/>", *panels, _legend(), "</svg>", ""])


def _panel(rows: Mapping[str, Row], corpus: str, left: int) -> str:
    points = {epsilon: _value(rows, f"{corpus}_{name}") for epsilon, name in EPSILONS.items()}
    lines = {name: _value(rows, f"{corpus}_{name}") for name in LINES}
    known = [value for value in (*points.values(), *lines.values()) if value is not None]
    if not known:
        return ""
    low, high = math.floor(min(known) * 10 - 0.2) / 10, math.ceil(max(known) * 10 + 0.2) / 10
    low, high = max(low, 0.0), min(high, 1.0)

    def y(value: float) -> float:
        return TOP + DOWN * (high - value) / (high - low)

    def x(epsilon: float) -> float:
        return 20 + (ACROSS - 40) * math.log(epsilon) / math.log(8)

    parts = [f"<text x='0' y='{TOP - 12}' {TEXT} font-weight='bold'>{corpus}: {MEASURES[corpus]}</text>"]
    parts += [f"<rect x='0' y='{TOP}' width='{ACROSS}' height='{DOWN}' fill='none' stroke='#999'/>"]
    for step in range(round(low * 10), round(high * 10) + 1):
        parts.append(f"<text x='-8' y='{y(step / 10) + 4:.1f}' {TEXT} text-anchor='end'>{step / 10:.1f}</text>")
        parts.append(f"<line x1='0' x2='{ACROSS}' y1='{y(step / 10):.1f}' y2='{y(step / 10):.1f}' stroke='#eee'/>")
    for epsilon in EPSILONS:
        parts.append(f"<text x='{x(epsilon):.1f}' y='{TOP + DOWN + 16}' {TEXT} text-anchor='middle'>{epsilon}</text>")
    parts.append(
        f"<text x='{ACROSS / 2}' y='{TOP + DOWN + 32}' {TEXT} text-anchor='middle'>epsilon at each site</text>"
    )
    below = TOP - 20.0  # where the label above this one stands
    for name, value in sorted(((name, value) for name, value in lines.items() if value is not None), key=_highest):
        _, colour, dash = LINES[name]
        below = max(y(value) + 4, below + 12)
        parts.append(_line(0, ACROSS, y(value), colour, dash))
        parts.append(f"<text x='{ACROSS + 4}' y='{below:.1f}' {TEXT} fill='{colour}'>{value:.3f}</text>")
    there = [(x(epsilon), y(value), value) for epsilon, value in sorted(points.items()) if value is not None]
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py, _ in there)
    parts.append(f"<polyline points='{path}' fill='none' stroke='#1f6fb2' stroke-width='2'/>")
    for px, py, value in there:
        parts.append(f"<circle cx='{px:.1f}' cy='{py:.1f}' r='3.5' fill='#1f6fb2'/>")
        parts.append(f"<text x='{px:.1f}' y='{py + 16:.1f}' {TEXT} text-anchor='middle'>{value:.3f}</text>")
    return f"<g transform='translate({left + LEFT},0)'>{''.join(parts)}</g>"


def _highest(line: tuple[str, float]) -> float:
    return -line[1]


def _line(start: float, end: float, y: float, colour: str, dash: str) -> str:
    return f"<line x1='{start}' x2='{end}' y1='{y:.1f}' y2='{y:.1f}' stroke='{colour}' stroke-dasharray='{dash}'/>"


def _legend() -> str:
    y, parts = HEIGHT + 2, []
    entries = [("federated, private", "#1f6fb2", ""), *LINES.values()]
    for at, (words, colour, dash) in enumerate(entries):
        left = LEFT + at * 220
        parts.append(_line(left, left + 28, y, colour, dash))
        parts.append(f"<text x='{left + 34}' y='{y + 4}' {TEXT}>{words}</text>")
    return "".join(parts)


def _value(rows: Mapping[str, Row], name: str) -> float | None:
    row = rows.get(name)
    return None if row is None or row.value is None else float(row.value)
