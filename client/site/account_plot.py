# SPDX-License-Identifier: Apache-2.0
"""Epsilon over a site's releases as one SVG, with the limit: by hand, because no plotting library is a dependency."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from client.site.account import Account

WIDTH, HEIGHT, LEFT, TOP, ACROSS, DOWN = 640, 360, 64, 48, 540, 240
COLOURS = ("#1f6fb2", "#b25d1f", "#2b8a3e", "#862e9c", "#c92a2a")
TEXT = "font-family='sans-serif' font-size='12'"


def draw(account: Account) -> str:
    """The account's history: each release a step, each run a colour, the limit a line."""
    spent = [float(row.epsilon_after) for row in account.history]
    limit = None if account.epsilon_limit is None else float(account.epsilon_limit)
    top = max([*spent, limit or 0.0, 1e-9]) * 1.05
    places = [LEFT + ACROSS * (at + 1) / max(1, len(spent)) for at in range(len(spent))]
    heights = [TOP + DOWN * (1 - epsilon / top) for epsilon in spent]
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' height='{HEIGHT}'>",
        "<rect width='100%' height='100%' fill='white'/>",
        f"<text x='{LEFT}' y='24' {TEXT} font-weight='bold'>{escape(_title(account))}</text>",
        *_axes(top, len(spent)),
        *_steps(account, places, heights),
    ]
    if limit is not None:
        y = TOP + DOWN * (1 - limit / top)
        ends = f"x1='{LEFT}' x2='{LEFT + ACROSS}' y1='{y:.1f}' y2='{y:.1f}'"
        parts.append(f"<line {ends} stroke='#c92a2a' stroke-dasharray='6 4'/>")
        parts.append(f"<text x='{LEFT + 6}' y='{y - 5:.1f}' {TEXT} fill='#c92a2a'>limit {account.epsilon_limit}</text>")
    return "\n".join([*parts, "</svg>", ""])


def _title(account: Account) -> str:
    return f"{account.dataset}: epsilon {account.epsilon_spent} at delta {account.delta} (unit: {account.unit})"


def _axes(top: float, releases: int) -> list[str]:
    parts = [f"<rect x='{LEFT}' y='{TOP}' width='{ACROSS}' height='{DOWN}' fill='none' stroke='#999'/>"]
    for fifth in range(6):
        y = TOP + DOWN * (1 - fifth / 5)
        parts.append(f"<line x1='{LEFT}' x2='{LEFT + ACROSS}' y1='{y:.1f}' y2='{y:.1f}' stroke='#eee'/>")
        parts.append(f"<text x='{LEFT - 6}' y='{y + 4:.1f}' {TEXT} text-anchor='end'>{top * fifth / 5:.2f}</text>")
    at = f"x='{LEFT + ACROSS / 2}' y='{TOP + DOWN + 20}'"
    parts.append(f"<text {at} {TEXT} text-anchor='middle'>{releases} releases, in their order</text>")
    return parts


def _steps(account: Account, places: Sequence[float], heights: Sequence[float]) -> list[str]:
    """A stair, coloured by run, with the names of the runs below."""
    colours = {run.run_id: COLOURS[at % len(COLOURS)] for at, run in enumerate(account.runs)}
    parts, before = [], (float(LEFT), float(TOP + DOWN))
    for row, x, y in zip(account.history, places, heights, strict=True):
        path = f"M {before[0]:.1f} {before[1]:.1f} H {x:.1f} V {y:.1f}"
        parts.append(f"<path d='{path}' fill='none' stroke='{colours[row.run_id]}' stroke-width='2'/>")
        before = (x, y)
    for at, run in enumerate(account.runs[:5]):
        place = f"x='{LEFT + at * ACROSS / 5:.0f}' y='{TOP + DOWN + 44}'"
        parts.append(f"<text {place} {TEXT} fill='{colours[run.run_id]}'>{escape(run.run_id[:18])}</text>")
    return parts
