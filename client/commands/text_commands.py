# SPDX-License-Identifier: Apache-2.0
"""Commands that look at the site's texts before anybody trains on them: preview and anonymize.

Original text is shown or written only on explicit command, at the site. They are registered on collab-client's own
app, which imports this file and is not imported by it; heavy rooms are imported when a command runs.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from client.commands.progress import telling_progress
from client.commands.site_option import site_of
from client.commands.text_session import (
    KEEP_HERE,
    console_of_stdout,
    keyed_texts_of,
    paged,
    texts_of,
    warn,
)
from client.review import site_files
from privacy.commandline.terminal import AsJson, example, print_facts, print_json, print_table, say


def register(app: typer.Typer) -> None:
    """Add the commands to collab-client's app."""
    app.command(epilog=example("collab-client --site hospital_a preview --rows 3 --html preview.html"))(preview)
    app.command(epilog=example("collab-client --site hospital_a anonymize --workers 2"))(anonymize)


def preview(
    context: typer.Context,
    rows: Annotated[int, typer.Option(min=1, max=10_000, help="How many rows to draw.")] = 5,
    row: Annotated[list[str] | None, typer.Option(metavar="ID", help="This record instead; can be repeated.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another number draws other rows.")] = 0,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page, mode 0600. A bare name lies in the site's reports/."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show rows before and after, side by side: what would be trained on. It shows ORIGINAL TEXT: for your eyes."""
    folder = site_of(context)
    from client.commands import preview_page
    from client.review import preview as view

    path = None if html is None else site_files.place(folder, html)
    if path is not None:
        site_files.make_writable(folder, path)
    with texts_of(folder) as texts:
        chosen = view.choose(texts, row or [], count=rows, seed=seed)
        shown = [part for at in chosen for part in texts.show(at).parts()]
    warn(KEEP_HERE)
    if path is not None:
        how = "by record id" if row else f"drawn, seed {seed}"
        site_files.write(folder, path, preview_page.as_page(shown, texts, folder.name, how))
        say(f"Wrote {site_files.shown(folder, path)} (mode 0600) with {view.number(len(shown), 'row')}.")
        if not site_files.within(folder, path):
            warn(f"{path.name} lies outside the folder of {folder.name}, which is private.")
    elif as_json:
        print_json(view.as_json(shown))
    else:
        console = console_of_stdout()
        with paged(console):
            console.print(view.in_terminal(shown, texts, console))


def anonymize(
    context: typer.Context,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes; text.workers of the settings if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Anonymize the whole corpus and report it in counts. Ctrl-C loses nothing: the same command goes on."""
    folder = site_of(context)
    from client.review import anonymization_report as reporting

    paths = [folder.reports / f"anonymization.{ending}" for ending in ("json", "html")]
    for path in paths:
        site_files.make_writable(folder, path)
    with telling_progress() as progress, keyed_texts_of(folder, workers=workers) as (texts, _):
        records, report = texts.anonymize(progress)
    evidence = reporting.evidence(
        folder.name, folder.settings.text, texts.corpus, records, report, now=datetime.now(UTC)
    )
    for path, data in zip(paths, (evidence.to_json().encode() + b"\n", reporting.as_page(evidence)), strict=True):
        site_files.write(folder, path, data)
    if as_json:
        print_json(evidence.as_json())
    else:
        print_facts(f"Anonymization of {folder.name}", reporting.in_short(evidence))
        rows = [(name, count, evidence.documents[name]) for name, count in evidence.by_entity.items()]
        print_table("Found", ("type", "findings", "documents"), rows)
        where = " and ".join(site_files.shown(folder, path) for path in paths)
        say(f"Wrote {where} (mode 0600: exact counts, they stay here).")
    if not evidence.few_refused:
        warn(reporting.refusal(evidence))
