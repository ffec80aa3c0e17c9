# SPDX-License-Identifier: Apache-2.0
"""The cells of a corpus as rows of its report: the best scope on dev, with the others beside it, and what is missing.

A row's value is the mean over the seeds that are there, its spread the least and the greatest. Each cell's test was
read once, after its setting was chosen on dev.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean

from simulations.benchmarks.experiment_plan import SCOPES, VARIANTS, Experiment, TrainedScope, Variant
from simulations.benchmarks.experiments import AccuracyScores, Experiments
from simulations.benchmarks.grid import NOTES, choose, trials
from simulations.benchmarks.report import Row, write_report

METRICS = ("accuracy", "macro_f1")
NAMES: dict[Variant, str] = {"alone": "best_site_alone"}
NOT_MEASURED = "not measured: the run was stopped before this cell"


def write_table(bench: Experiments, baseline: AccuracyScores, seeds: int, *, quick: bool, out: Path) -> None:
    """Write out/bench-NAME.json from the kept results, and print it. Its seconds are those of all cells and trials."""
    rows = [row for metric in METRICS for row in _rows_of(bench, baseline, metric, seeds)]
    rows += _costs(bench, seeds)
    write_report(bench.texts.corpus.name, rows, seconds=bench.seconds(), quick=quick, out=out)


def chosen_cells(bench: Experiments, scope: TrainedScope, variant: Variant, seeds: int) -> list[Experiment]:
    """The chosen cell at each seed that has its test result."""
    chosen = choose(bench, scope, variant)
    cells = [] if chosen is None else [replace(chosen, seed=seed) for seed in range(1, seeds + 1)]
    return [cell for cell in cells if bench.scores(cell, "test") is not None]


def best_scope(bench: Experiments, variant: Variant, seeds: int) -> TrainedScope | None:
    """The scope with the best accuracy on dev, at seed 1."""
    chosen = {scope: chosen_cells(bench, scope, variant, seeds) for scope in SCOPES}
    there: dict[TrainedScope, list[Experiment]] = {scope: cells for scope, cells in chosen.items() if cells}
    return max(there, key=lambda scope: _figures(bench, there[scope][:1], "dev", "accuracy")[0], default=None)


def _rows_of(bench: Experiments, baseline: AccuracyScores, metric: str, seeds: int) -> list[Row]:
    rows = [_best_row(bench, metric, variant, seeds) for variant in VARIANTS]
    value = round(getattr(baseline, metric), 4)
    note = "word 1-2-grams of the whole text, C=10, nothing tuned, all training rows in one place"
    rows.append(Row(f"{metric}_tfidf", value, "share", note=note))
    rows += [_scope_row(bench, metric, scope, variant, seeds) for scope in SCOPES for variant in VARIANTS]
    return rows


def _best_row(bench: Experiments, metric: str, variant: Variant, seeds: int) -> Row:
    name, best = f"{metric}_{NAMES.get(variant, variant)}", best_scope(bench, variant, seeds)
    if best is None:
        return Row(name, None, "share", n=0, note=NOT_MEASURED)
    row = _scope_row(bench, metric, best, variant, seeds)
    return replace(row, name=name, note=f"scope {best}, the best on dev; {row.note}")


def _scope_row(bench: Experiments, metric: str, scope: TrainedScope, variant: Variant, seeds: int) -> Row:
    name = f"{metric}_{NAMES.get(variant, variant)}_{scope}"
    cells = chosen_cells(bench, scope, variant, seeds)
    if not cells:
        return Row(name, None, "share", n=0, note=NOT_MEASURED)
    tests, devs = (_figures(bench, cells, split, metric) for split in ("test", "dev"))
    spread = (round(min(tests), 4), round(max(tests), 4))
    beside = {"dev": round(mean(devs), 4), "passes": round(cells[0].setting.passes, 2)}
    return Row(
        name, round(mean(tests), 4), "share", spread=spread, n=len(cells), beside=beside, note=_note(bench, cells)
    )


def _note(bench: Experiments, cells: list[Experiment]) -> str:
    cell = cells[0]
    tried = len(trials(bench, cell.scope, cell.variant))
    setting = cell.setting
    parts = [
        f"{tried} settings tried on dev"
        if tried > 1
        else NOTES.get((cell.scope, cell.variant), "setting fixed beforehand"),
        f"{setting.optimizer} {setting.learning_rate:g}, head {setting.head_learning_rate:g}",
        f"{setting.rounds} rounds x {setting.steps} steps at q {setting.sample_rate:g}",
    ]
    if cell.site:
        parts.insert(0, f"site {cell.site}, of {len(bench.texts.sites)}")
    facts = bench.result(cell, "dev")
    if facts is not None and facts.get("epsilon") is not None:
        parts.append(f"epsilon spent {facts['epsilon']:.3f} of 8 at every site")
    return "; ".join(parts)


def _costs(bench: Experiments, seeds: int) -> list[Row]:
    """What privacy costs and federation gains, in points of test accuracy, of the best scopes on dev."""
    best = {variant: _best_accuracy(bench, variant, seeds) for variant in VARIANTS}
    pairs: dict[str, tuple[Variant, Variant]] = {
        "points_dp_costs": ("federated", "federated_eps8"),
        "points_federation_costs": ("central", "federated"),
        "points_gained_over_best_site": ("federated", "alone"),
        "points_gained_over_best_site_eps8": ("federated_eps8", "alone"),
    }
    rows = []
    for name, (above, below) in pairs.items():
        high, low = best[above], best[below]
        value = None if high is None or low is None else round(100 * (high - low), 2)
        note = NOT_MEASURED if value is None else f"test accuracy of {above} less that of {below}, best scopes on dev"
        rows.append(Row(name, value, "points", note=note))
    return rows


def _best_accuracy(bench: Experiments, variant: Variant, seeds: int) -> float | None:
    best = best_scope(bench, variant, seeds)
    return (
        None if best is None else mean(_figures(bench, chosen_cells(bench, best, variant, seeds), "test", "accuracy"))
    )


def _figures(bench: Experiments, cells: list[Experiment], split: str, metric: str) -> list[float]:
    of_cells = [bench.scores(cell, split) for cell in cells]
    return [float(getattr(scores, metric)) for scores in of_cells if scores is not None]
