# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a running simulation: one live line a site, and one table at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from client.site.events import (
    ChargedEvent,
    EvaluatedEvent,
    Event,
    MechanismCheckEvent,
    RefusedEvent,
    SelfCheckEvent,
    StepEvent,
    TrainedEvent,
)
from privacy.base.identifiers import RunId, SiteId
from privacy.commandline.terminal import print_table, say, visible
from privacy.protocol.entries import AuditEntry
from privacy.protocol.run import Run
from simulations.federation import Outcome, RowsDone, SiteOutcome


class Display:
    """The state of each site and of the federation; drawn live on a terminal, told in lines elsewhere."""

    def __init__(self, sites: list[SiteId], *, quiet: bool) -> None:
        self._states = dict.fromkeys(sites, "waiting")
        self._headline = "opening the run"
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._runs: dict[RunId, Run] = {}

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw while the block runs."""
        if self._quiet or not sys.stderr.isatty():
            yield
            return
        with Live(console=self._console, refresh_per_second=8, transient=True, get_renderable=self._table) as live:
            self._live = live
            yield
        self._live = None

    def _table(self) -> Table:
        table = Table(title=Text(visible(self._headline)), title_justify="left", box=None, show_header=False)
        for site, state in self._states.items():
            table.add_row(Text(site), Text(visible(state)))
        return table

    def site_did(self, site: SiteId, event: Event | RowsDone) -> None:
        """An event of a site's own reports, or how far it is with its rows."""
        match event:
            case RowsDone(what, done, total):
                state = f"{what} {done} of {total}"
            case StepEvent(loss=loss):
                shown = f", loss {loss:.3f}" if loss is not None else ""
                state = f"round {event.round}: step {event.step + 1} of {event.steps}{shown}"
            case SelfCheckEvent():
                state = f"anonymizer checked on {event.notes} invented notes"
            case MechanismCheckEvent():
                state = f"noise and sampling tested: {'passed' if event.passed else 'FAILED'}"
            case TrainedEvent():
                state = f"round {event.round}: update sent, {_epsilon(event)}"
            case EvaluatedEvent():
                state = f"round {event.round}: counted, {_epsilon(event)}"
            case RefusedEvent():
                state = f"refused {event.phase} of round {event.round}"
                self._line(f"{site}: {state}: {event.why}")
            case _:
                return
        self._states[site] = state

    def logged(self, entry: AuditEntry) -> None:
        """A new entry of the log."""
        run = self._runs.setdefault(entry.run_id, Run(entry.run_id))
        run.take(entry)
        sentence = entry.body.headline(run, entry)
        if sentence is not None:
            (self._line if hasattr(entry.body, "site") else self._say)(sentence)

    def _say(self, sentence: str) -> None:
        self._headline = sentence
        if self._live is None:
            self._line(sentence)

    def _line(self, sentence: str) -> None:
        if not self._quiet:
            self._console.print(visible(sentence), highlight=False, markup=False)


def _epsilon(event: ChargedEvent) -> str:
    if event.epsilon_of_run is None:
        return "without noise: not private"
    return f"simulated epsilon {float(event.epsilon_of_run):.2f} of {event.epsilon_limit}"


def print_outcome(outcome: Outcome) -> None:
    """The table of the sites, the model's accuracy, the log's verdict, and where all of it lies."""
    columns = (
        *("site", "examples", "identifiers found", "least recall (self-check)", "loss", "accuracy (dev)"),
        *("epsilon spent", "left", "unit"),
    )
    print_table(outcome.title, columns, [_cells(site) for site in outcome.sites])
    if any(site.epsilon_spent is not None for site in outcome.sites):
        say(
            "The epsilon is simulated (accountant: PRV): the keys of these sites follow a known seed. "
            "Examples, loss and accuracy of a real site stay with it."
        )
    tested = [site for site in outcome.sites if site.mechanism_passed is not None]
    if tested:
        passed = sum(site.mechanism_passed is True for site in tested)
        say(f"Noise and sampling: the self-tests before the run passed at {passed} of {len(tested)} sites")
    say(
        f"Global model on notes of no site: accuracy {outcome.accuracy_before:.3f} before, "
        f"{outcome.accuracy_after:.3f} after {outcome.rounds} rounds "
        f"(always the commonest label: {outcome.accuracy_majority:.3f})"
    )
    say(f"Model: sha256 {outcome.final_model_sha256}")
    say(f"log verified: {outcome.log.entries} entries, {outcome.log.rounds_replayed} rounds replayed bit for bit")
    say(f"Results: {outcome.out} ({outcome.seconds:.0f} s)")


def _cells(site: SiteOutcome) -> tuple[object, ...]:
    """A site's row of the table."""
    share_found = "-"
    if site.identifiers_planted and site.identifiers_found is not None:
        share = site.identifiers_found / site.identifiers_planted
        share_found = f"{site.identifiers_found} of {site.identifiers_planted} ({share:.1%})"
    least = "-" if site.least_recall is None else f"{site.least_recall_of} {site.least_recall:.2f}"
    spent, left_over = "not private", "-"
    if site.epsilon_spent is not None:
        spent, left_over = f"{site.epsilon_spent:.2f}", f"{max(site.epsilon_limit - site.epsilon_spent, 0):.2f}"
    loss = "-" if site.loss is None else f"{site.loss:.3f}"
    accuracy = "-" if site.accuracy is None else f"{site.accuracy:.3f}"
    return site.site, site.examples, share_found, least, loss, accuracy, spent, left_over, site.unit
