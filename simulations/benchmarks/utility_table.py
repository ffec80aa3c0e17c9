# SPDX-License-Identifier: Apache-2.0
"""The cells of bench-utility as rows: each variant's best scope on dev, the others beside it, and what privacy costs.

A figure is accuracy, or entity F1 where a corpus has entities. A row's value is the mean over the seeds that are there,
its spread the least and the greatest; a cost is the difference of two such means, in points. `reach` is the issue's.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean

from simulations.benchmarks.experiment_plan import EPSILONS, Experiment, TrainedScope, Variant
from simulations.benchmarks.experiments import Experiments
from simulations.benchmarks.report import Row, write_report
from simulations.benchmarks.utility_grid import SCOPES, VARIANTS, choose, trials
from simulations.benchmarks.utility_plot import draw

NOT_MEASURED = "not measured: the run was stopped before this cell"
COSTS: dict[str, tuple[str, str, str]] = {
    "cost_eps8": ("federated", "federated_eps8", "<= 3"),
    "cost_eps3": ("federated", "federated_eps3", ""),
    "cost_eps1": ("federated", "federated_eps1", ""),
    "cost_eps8_to_central_full": ("central_full", "federated_eps8", "<= 5"),
    "gain_over_best_site": ("federated_eps8", "best_site_alone", ""),
}
REACHES = {"medquad_gain_over_best_site": ">= 15"}


class Table:
    """The rows of one corpus."""

    def __init__(self, bench: Experiments, seeds: int, *, quick: bool) -> None:
        self.bench, self.seeds, self.quick = bench, seeds, quick
        self.name = bench.texts.corpus.name

    def cells(self, scope: TrainedScope, variant: Variant) -> list[Experiment]:
        """The chosen cell at each seed that has its test result."""
        chosen = choose(self.bench, scope, variant, quick=self.quick)
        cells = [] if chosen is None else [replace(chosen, seed=seed) for seed in range(1, self.seeds + 1)]
        return [cell for cell in cells if self.bench.scores(cell, "test") is not None]

    def best(self, variant: Variant) -> TrainedScope | None:
        """The scope with the best figure on dev, at seed 1."""
        there: dict[TrainedScope, list[Experiment]] = {
            scope: cells for scope in SCOPES if (cells := self.cells(scope, variant))
        }
        return max(there, key=lambda scope: self.figures(there[scope][:1], "dev")[0], default=None)

    def figures(self, cells: list[Experiment], split: str) -> list[float]:
        """The figure of each cell on a split."""
        return [scores.figure for cell in cells if (scores := self.bench.scores(cell, split)) is not None]

    def row(self, name: str, scope: TrainedScope, variant: Variant) -> Row:
        """One scope's row of a variant."""
        cells = self.cells(scope, variant)
        if not cells:
            return Row(name, None, "share", n=0, note=NOT_MEASURED)
        tests, devs = self.figures(cells, "test"), self.figures(cells, "dev")
        macro = [scores.macro_f1 for cell in cells if (scores := self.bench.scores(cell, "test")) is not None]
        beside = {"dev": round(mean(devs), 4), "macro_f1": round(mean(macro), 4), **self._privacy(cells[0])}
        spread = (round(min(tests), 4), round(max(tests), 4))
        note = self._note(scope, variant, cells[0])
        return Row(name, round(mean(tests), 4), "share", spread=spread, n=len(cells), beside=beside, note=note)

    def _privacy(self, cell: Experiment) -> dict[str, float]:
        facts = self.bench.result(cell, "dev") or {}
        if cell.variant not in EPSILONS:
            return {}
        names = ("epsilon", "delta", "noise_multiplier")
        return {name: float(str(facts[name])) for name in names if facts.get(name) is not None}

    def _note(self, scope: TrainedScope, variant: Variant, cell: Experiment) -> str:
        facts, setting = self.bench.result(cell, "dev") or {}, cell.setting
        tried = len(trials(self.bench, scope, variant, quick=self.quick))
        parts = [
            f"scope {scope}",
            f"{tried} tried on dev" if tried > 1 else "setting fixed beforehand",
            f"{setting.optimizer}, head {setting.head_learning_rate:g}"
            + ("" if scope == "head" else f", below {setting.learning_rate:g}"),
            f"{setting.rounds} rounds x {setting.steps} steps at q {setting.sample_rate:g}",
        ]
        if cell.site:
            parts.append(f"site {cell.site} of {len(self.bench.texts.sites)}")
        if variant in EPSILONS:
            parts.append(f"accountant {facts.get('accountant')}, unit {facts.get('unit')}")
        return "; ".join([*parts, f"{facts.get('seconds')} s"])

    def best_row(self, name: str, variant: Variant, scopes: tuple[TrainedScope, ...] = SCOPES) -> Row:
        """The row of the scope that dev likes best among `scopes`."""
        best = self.best(variant) if scopes == SCOPES else scopes[0]
        if best is None:
            return Row(name, None, "share", n=0, note=NOT_MEASURED)
        return self.row(name, best, variant)

    def rows(self) -> list[Row]:
        """All rows of the corpus."""
        shown = {"alone": "best_site_alone"}
        rows = {name: self.best_row(f"{self.name}_{name}", v) for v in VARIANTS for name in [shown.get(v, v)]}
        rows["central_full"] = self.best_row(f"{self.name}_central_full", "central", ("full",))
        scoped = [row for variant in VARIANTS for row in self._scoped(variant)]
        costs = [self._cost(name, rows[high], rows[low], reach) for name, (high, low, reach) in COSTS.items()]
        count = len(list((self.bench.out / "cells").glob("*-s1-*.dev.json")))
        tried = Row(
            f"{self.name}_trials", count, "settings", note="trained at seed 1 and measured on dev, all variants"
        )
        return [*costs, *rows.values(), *scoped, tried]

    def _scoped(self, variant: Variant) -> list[Row]:
        """Where several scopes of a variant were measured: a row each, beside the best one's."""
        scopes = [scope for scope in SCOPES if self.cells(scope, variant)]
        shown = [scope for scope in scopes if (scope, variant) != ("full", "central")] if len(scopes) > 1 else []
        return [self.row(f"{self.name}_{variant}_{scope}", scope, variant) for scope in shown]

    def _cost(self, name: str, high: Row, low: Row, reach: str) -> Row:
        name = f"{self.name}_{name}"
        reach = REACHES.get(name, reach)
        if high.value is None or low.value is None:
            lacking = next(row.name for row in (high, low) if row.value is None)
            return Row(name, None, "points", reach, n=0, note=f"{lacking} was not measured")
        note = f"{high.name} less {low.name}, of the best scopes on dev"
        return Row(name, round(100 * (high.value - low.value), 2), "points", reach, n=min(high.n, low.n), note=note)


def write_table(benches: dict[str, Experiments], seeds: int, *, quick: bool, out: Path) -> None:
    """Write out/bench-utility.json and out/bench-utility.svg from the kept results, and print the rows."""
    tables = [Table(bench, seeds, quick=quick) for bench in benches.values()]
    rows = [row for table in tables for row in table.rows()]
    write_report("utility", rows, seconds=sum(bench.seconds() for bench in benches.values()), quick=quick, out=out)
    (out / "bench-utility.svg").write_text(draw({row.name: row for row in rows}, list(benches)), encoding="utf-8")
