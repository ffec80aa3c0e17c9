# SPDX-License-Identifier: Apache-2.0
"""`collab-client review-sample`: a person looks through a sample, here or in a spreadsheet, and learns what is left."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from client.commands.options import takes
from client.commands.progress import telling_progress
from client.commands.site_option import site_of
from client.commands.text_session import KEEP_HERE, console_of_stdout, keyed_texts_of, warn
from client.review import site_files
from privacy.base.errors import SettingsError
from privacy.commandline.terminal import AsJson, example, print_facts, print_json, print_table, say

if TYPE_CHECKING:
    from client.data.corpus_view import CorpusView
    from client.review.review_figures import Form
    from client.review.review_sample import Draw, Sample
    from client.settings.site_settings import SiteFolder
    from privacy.base.randomness import SecretSeed

_MOST_BYTES = 1 << 28


def register(app: typer.Typer) -> None:
    """Add the command to collab-client's app."""
    taught = example("collab-client --site hospital_a review-sample --rows 200")
    app.command("review-sample", epilog=taught)(review_sample)


@dataclass(frozen=True)
class ReviewOptions:
    """What `review-sample` is told."""

    rows: Annotated[int, typer.Option(min=1, max=100_000, help="How many rows to draw.")] = 200
    uniform: Annotated[bool, typer.Option("--uniform", help="Draw all rows alike.")] = False
    seed: Annotated[
        int | None, typer.Option(min=0, help="Which draw, under the site's key; by default another each time.")
    ] = None
    new: Annotated[bool, typer.Option("--new", help="Draw another sample; the one before is kept aside.")] = False
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the rows as CSV for a spreadsheet, mode 0600.")
    ] = None
    import_: Annotated[
        Path | None, typer.Option("--import", metavar="FILE", help="Take over the answers of a filled-in CSV.")
    ] = None
    release: Annotated[
        str, typer.Option(metavar="commitment|figures", help="Write the result for others into released/.")
    ] = ""
    as_json: AsJson = False


@takes(ReviewOptions)
def review_sample(context: typer.Context, options: ReviewOptions) -> None:
    """Look through a sample, mark what was missed, and learn how much is left, with a 95 % upper bound.

    Half of it is drawn from rows with weak evidence. Every answer is kept at once; the same command goes on.
    A bare FILE lies in the site's reports/. It shows ORIGINAL TEXT: for your eyes.
    """
    folder = site_of(context)
    if options.release:
        _release(folder, options.release)
    elif options.as_json and options.import_ is None and options.export is None:
        _tell(_drawn_before(folder), as_json=True)
    else:
        _look_through(folder, options)


def _look_through(folder: SiteFolder, options: ReviewOptions) -> None:
    """Draw a sample or go on with one, here or in a spreadsheet."""
    from client.review import review_sample as sampling

    drawing = sampling.Draw(options.rows, "uniform" if options.uniform else "stratified", options.seed, options.new)
    site_files.make_writable(folder, sampling.path_of(folder))
    if options.export is not None:
        site_files.make_writable(folder, site_files.place(folder, options.export))
    with keyed_texts_of(folder) as (texts, key):
        sample = _sample(folder, texts, key, drawing)
        places = sampling.find_rows(sample, texts, key)
        if options.export is not None:
            _export(folder, sample, texts, places, options.export)
            return
        if options.import_ is not None:
            sample = _import(folder, sample, texts, places, options.import_)
        elif sample.next_open() is not None:
            sample = _review(folder, sample, texts, places)
    _tell(sample, as_json=options.as_json)


def _sample(folder: SiteFolder, texts: CorpusView, key: SecretSeed, drawing: Draw) -> Sample:
    """The site's sample: the one that is there, or a new one, kept before it is used."""
    from client.review import review_sample as sampling

    before = sampling.load(folder)
    if before is not None and not drawing.new:
        print(
            f"Going on with the {before.design} sample of {len(before.rows)} rows (--new draws another).",
            file=sys.stderr,
        )
        return before
    with telling_progress() as progress:
        texts.anonymize(progress)
        found = []
        for at in range(len(texts.rows)):
            if (findings := texts.findings(at)) is not None:
                found.append((at, findings))
            progress("sorting rows", at + 1, len(texts.rows))
    if not found:
        raise SettingsError(
            "every row was refused: there is nothing to review",
            next_step=f"collab-client --site {folder.name} anonymize tells the reasons",
        )
    sample = sampling.draw(texts, found, key, folder.name, drawing, before)
    if before is not None:
        sampling.put_aside(folder, before)
    sampling.keep(folder, sample)
    return sample


def _review(folder: SiteFolder, sample: Sample, texts: CorpusView, places: list[int]) -> Sample:
    from client.review import review_sample as sampling
    from client.review import reviewing

    if not sys.stdin.isatty():
        raise SettingsError(
            "nobody is at this terminal to look through the sample; it is drawn and kept",
            next_step=f"collab-client --site {folder.name} review-sample --export review.csv, for a spreadsheet",
        )
    warn(KEEP_HERE)
    return reviewing.review(
        sample,
        lambda at: texts.show(places[at]),
        input,
        console_of_stdout(),
        lambda answered: sampling.keep(folder, answered),
    )


def _export(folder: SiteFolder, sample: Sample, texts: CorpusView, places: list[int], file: Path) -> None:
    from client.review import review_csv

    path = site_files.place(folder, file)
    site_files.write(folder, path, review_csv.export(sample, lambda at: texts.show(places[at])))
    warn(KEEP_HERE)
    if not site_files.within(folder, path):
        warn(f"{path.name} lies outside the folder of {folder.name}, which is private.")
    say(f"Wrote {site_files.shown(folder, path)} (mode 0600) with {len(sample.rows)} rows.")
    say("Fill its column 'missed' with words as they stand in the text (several separated by ';'), none, or skip.")
    say(f"Next: collab-client --site {folder.name} review-sample --import {file}")


def _import(folder: SiteFolder, sample: Sample, texts: CorpusView, places: list[int], file: Path) -> Sample:
    from client.review import review_csv
    from client.review import review_sample as sampling
    from privacy.base.files import read_bounded

    data = read_bounded(site_files.place(folder, file), _MOST_BYTES)
    answered = review_csv.read_answers(data, sample, lambda at: texts.show(places[at]))
    sampling.keep(folder, answered)
    return answered


def _drawn_before(folder: SiteFolder) -> Sample:
    from client.review import review_sample as sampling

    sample = sampling.load(folder)
    if sample is None:
        raise SettingsError(
            f"{folder.name} has drawn no review sample yet",
            next_step=f"collab-client --site {folder.name} review-sample --rows 200",
        )
    return sample


def _release(folder: SiteFolder, form: str) -> None:
    from client.review import review_figures

    if form not in ("commitment", "figures"):
        raise SettingsError("--release takes commitment or figures", next_step="collab-client review-sample --help")
    path = review_figures.release(folder, _drawn_before(folder), cast("Form", form))
    say(f"Wrote {site_files.shown(folder, path)}. Nothing was sent: send it yourself if it shall leave.")


def _tell(sample: Sample, *, as_json: bool) -> None:
    from rich.text import Text

    from client.review import review_figures

    if as_json:
        print_json(review_figures.at_home(sample))
        return
    print_facts("Review", review_figures.in_short(sample))
    columns = ("stratum", "rows", "in sample", "reviewed", "skipped", "with missed", "missed")
    rows = [(s.name, s.rows, s.drawn, s.reviewed, s.skipped, s.leaking, s.missed) for s in sample.strata()]
    print_table("By stratum (stays here)", columns, rows)
    console_of_stdout().print(Text(review_figures.sentence(sample)))
    if sample.next_open() is not None:
        say(f"Next: collab-client --site {sample.site} review-sample goes on.")
