# SPDX-License-Identifier: Apache-2.0
"""review-sample: what is drawn, what a reviewer marks, what is kept of it, and what may leave."""

from __future__ import annotations

import csv
import io
import json
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client import cli
from client.data.corpus_view import open_texts
from client.enrolment import enroll, site_key_if_any
from client.review import review_figures, reviewing
from client.review import review_sample as sampling
from client.review.residual import upper_bound
from client.review.review_sample import Draw, left_over, stratum_of
from client.settings.site_settings import SiteFolder
from privacy.base.canonical import canonical_bytes
from privacy.base.errors import IntegrityError
from privacy.text.reading.records import Finding

AT_SITE = ["--site", "hospital_a"]
REVIEW = [*AT_SITE, "review-sample"]
WEAK = "takes Zorbaquine with food, the only glass blower here, number {at}"
BARE = "a quiet night without complaints, bed {at}"
REST = "call 212-555-01{at:02d} again"
SECRETS = ("Zorbaquine", "blower", "zorbaquine", "quiet night", "case-")


def finding(start: int, end: int, score: float = 0.85) -> Finding:
    return Finding(start, end, "PERSON", score, "test")


@pytest.fixture
def site(make_site: Callable[..., SiteFolder]) -> SiteFolder:
    """An enrolled site of 60 invented notes: 20 with weak evidence, 30 bare, 10 others."""
    texts = [*(WEAK.format(at=at) for at in range(20)), *(BARE.format(at=at) for at in range(30))]
    texts += [REST.format(at=at) for at in range(10)]
    rows = [{"text": text, "label": "no", "id": f"case-{at}"} for at, text in enumerate(texts)]
    folder = make_site(rows, '[text]\nnames = "none"\n')
    enroll(folder)
    return folder


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sits somebody at the terminal who types these lines, and then goes away (end of input)."""

    def sit_down(*lines: str) -> None:
        waiting: Iterator[str] = iter(lines)

        def typed(prompt: str = "") -> str:
            try:
                return next(waiting)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr("builtins.input", typed)
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)

    return sit_down


def drawn(site: SiteFolder, *arguments: str) -> sampling.Sample:
    """The sample that the command draws; nobody answers."""
    cli.main([*REVIEW, *arguments, "--export", "review.csv"])
    sample = sampling.load(site)
    assert sample is not None
    return sample


# Drawing --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "findings", "stratum"),
    [
        ("seen by Zorblatt today", [], "weak"),
        ("he has number 48271 here", [], "weak"),
        ("he has 12-34-567 here", [], "weak"),
        ("Jane came", [finding(0, 4, 0.4)], "weak"),
        ("Jane Zorblatt came", [finding(0, 4)], "weak"),
        ("Jane came", [finding(0, 4)], "rest"),
        ("nothing at all. Stable, BP 130/80, 4500 units", [], "bare"),
        ("Zorblatt came", [], "bare"),  # the first word of a sentence is capitalised anyway
        ("SEVERE PAIN", [], "bare"),
        ("", [], "bare"),
    ],
)
def test_a_row_goes_into_a_stratum_by_rule(text: str, findings: list[Finding], stratum: str) -> None:
    assert stratum_of(text, findings) == stratum


def test_weak_evidence_is_found_where_it_stands() -> None:
    text = "Jane met Zorblatt's aunt, file 48271."
    assert [text[slice(*span)] for span in left_over(text, [finding(0, 4)])] == ["Zorblatt", "48271"]


def test_half_of_a_sample_is_weak_and_every_stratum_has_some(site: SiteFolder) -> None:
    sample = drawn(site, "--rows", "16")
    assert sample.sizes == {"weak": 20, "bare": 30, "rest": 10}
    counted = {stratum.name: stratum.drawn for stratum in sample.strata()}
    assert counted == {"weak": 8, "bare": 4, "rest": 4}
    assert drawn(site, "--rows", "16", "--new", "--uniform").sizes == {"all": 60}


def test_the_same_seed_draws_the_same_rows_and_another_site_others(site: SiteFolder) -> None:
    key = site_key_if_any(site)
    assert key is not None

    def rows(seed: int, root: str) -> list[str]:
        with open_texts(site, key) as texts:
            found = [(at, ()) for at in range(len(texts.rows))]
            drawing = Draw(10, "uniform", seed, True)
            return [row.row for row in sampling.draw(texts, found, key.derive(root), "hospital_a", drawing, None).rows]

    assert rows(1, "a") == rows(1, "a")
    assert len({tuple(rows(1, "a")), tuple(rows(2, "a")), tuple(rows(1, "b"))}) == 3


def test_the_file_holds_neither_word_nor_record_id_and_is_private(
    site: SiteFolder, person: Callable[..., None]
) -> None:
    person("glass blower", "n", "s")
    assert cli.main([*REVIEW, "--rows", "60", "--uniform"]) == 0
    path = sampling.path_of(site)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_text()
    assert not [secret for secret in SECRETS if secret in content]


# In a terminal --------------------------------------------------------------------------------------------------------


def test_what_was_missed_is_marked_by_words_or_by_number() -> None:
    text = "Dr. Zorblatt and zorblatt of Mill  Road met Jane"
    findings = [finding(44, 48)]
    assert reviewing.locate(text, findings, "Zorblatt") == ((4, 12),)
    assert reviewing.locate(text, findings, "ZORBLATT") == ((4, 12), (17, 25))
    assert reviewing.locate(text, findings, "mill road") == ((29, 39),)
    for absent in ("Jane", "orblat", "", "Nobody"):
        with pytest.raises(reviewing.NotFound):
            reviewing.locate(text, findings, absent)
    assert reviewing.marks_of("1; Mill Road", text, findings, [(4, 12)]) == (((4, 12),), ((29, 39),))
    assert reviewing.marks_of("1 2", text, findings, [(4, 12), (29, 33)]) == (((4, 12),), ((29, 33),))
    with pytest.raises(reviewing.NotFound):
        reviewing.marks_of("7", text, findings, [(4, 12)])


def test_a_reviewer_answers_quits_goes_on_and_gets_a_bound(
    site: SiteFolder, person: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    person("Nobody Such", "n", "q")
    assert cli.main([*REVIEW, "--rows", "60", "--uniform"]) == 0
    said = capsys.readouterr()
    assert "ORIGINAL TEXT" in said.err
    assert "Not found in what is left" in said.out
    assert "So far, and still moving" in " ".join(said.out.split())
    sample = sampling.load(site)
    assert sample is not None
    assert sum(row.answer == "reviewed" for row in sample.rows) == 1
    person("b", *["n"] * 80)
    assert cli.main(REVIEW) == 0
    said = capsys.readouterr()
    assert "Going on with the uniform sample of 60 rows" in said.err
    assert "Residual leak rate: 0.00% of documents" in " ".join(said.out.split())
    assert cli.main([*REVIEW, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["reviewed"], told["upper_bound"], told["complete"]) == (60, "0", True)  # all 60 were read


def test_a_sample_is_bounded_by_clopper_pearson(site: SiteFolder, person: Callable[..., None]) -> None:
    person(*["n"] * 30)
    assert cli.main([*REVIEW, "--rows", "30", "--uniform"]) == 0
    sample = sampling.load(site)
    assert sample is not None
    assert review_figures.figures(sample)["upper_bound"] == str(round(upper_bound(0, 30), 6))
    assert "at most 9.51 %" in review_figures.sentence(sample)


def test_nobody_at_the_terminal_is_told_of_the_spreadsheet(
    site: SiteFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*REVIEW, "--rows", "5"]) == 2
    said = capsys.readouterr().err
    assert "nobody is at this terminal" in said
    assert "--export review.csv" in said


# In a spreadsheet -----------------------------------------------------------------------------------------------------


def fill(path: Path, answer: Callable[[dict[str, str]], str]) -> None:
    """Answer every row of an exported review, as a spreadsheet would write it back."""
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(row | {"missed": answer(row)} for row in rows)
    path.write_text(out.getvalue(), encoding="utf-8-sig")


def test_a_review_in_a_spreadsheet_counts_the_same(site: SiteFolder, capsys: pytest.CaptureFixture[str]) -> None:
    sample = drawn(site, "--rows", "60")
    path = site.reports / "review.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "ORIGINAL TEXT" in capsys.readouterr().err
    fill(path, lambda row: "Zorbaquine; glass blower" if "Zorbaquine" in row["before"] else "none")
    assert cli.main([*REVIEW, "--import", "review.csv"]) == 0
    capsys.readouterr()
    assert cli.main([*REVIEW, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["documents_with_missed"] == 20
    assert told["missed_identifiers"] == 40
    assert told["residual_leak_rate"] == told["upper_bound"] == "0.333333"
    assert cli.main([*REVIEW, "--export", "again.csv"]) == 0
    with (site.reports / "again.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["missed"] for row in csv.DictReader(file)].count("Zorbaquine; glass blower") == 20
    assert sample.design == "stratified"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda row: "food" if row["row"] == "1" else "Grumbletonia", "what was typed as missed does not stand"),
        (None, "rows that are not this sample's"),
    ],
)
def test_a_wrong_import_changes_nothing_and_names_no_word(
    site: SiteFolder, capsys: pytest.CaptureFixture[str], spoil: Callable[[dict[str, str]], str] | None, said: str
) -> None:
    before = drawn(site, "--rows", "10")
    path = site.reports / "review.csv"
    if spoil is None:
        drawn(site, "--rows", "10", "--new")
        before = drawn(site)
        path.write_text(path.read_text(encoding="utf-8-sig").replace(before.rows[3].row[:12], "0" * 12))
    else:
        fill(path, spoil)
    assert cli.main([*REVIEW, "--import", "review.csv"]) == 4
    told = capsys.readouterr().err
    assert said in told
    assert not [word for word in ("Zorbaquine", "Grumbletonia") if word in told]
    assert sampling.load(site) == before


def test_no_cell_of_an_export_is_a_formula(site: SiteFolder) -> None:
    rows = [{"text": f'=HYPERLINK("x") {at}', "label": "no", "id": f"case-{at}"} for at in range(4)]
    Path("notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    drawn(site, "--rows", "4")
    with (site.reports / "review.csv").open(encoding="utf-8-sig", newline="") as file:
        assert all(row["before"].startswith("'=") for row in csv.DictReader(file))


# Keeping --------------------------------------------------------------------------------------------------------------


def test_a_sample_is_not_gone_on_with_when_texts_or_engine_changed(
    site: SiteFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn(site, "--rows", "60")
    toml = Path("sites/hospital_a.toml")
    before = toml.read_text()
    toml.write_text(before + 'deny_list = ["food"]\n')
    assert cli.main([*REVIEW, "--json"]) == 0
    assert cli.main([*REVIEW, "--export", "review.csv"]) == 2
    assert "anonymized in another way now" in capsys.readouterr().err
    toml.write_text(before)
    notes = Path("notes.jsonl")
    notes.write_text(notes.read_text().replace('here, number 3"', 'there, number 3"'))
    assert cli.main([*REVIEW, "--export", "review.csv"]) == 2
    assert "1 of its 60 rows are no longer in the data" in capsys.readouterr().err
    assert cli.main([*REVIEW, "--new", "--export", "review.csv"]) == 0
    fresh = sampling.load(site)
    assert fresh is not None
    assert (fresh.earlier_draws, fresh.seed) == (1, 1)
    assert (site.reports / "review-sample-0.json").exists()


def test_a_broken_sample_is_told_and_never_written_over(site: SiteFolder) -> None:
    drawn(site, "--rows", "5")
    path = sampling.path_of(site)
    path.write_text("{}")
    assert cli.main([*REVIEW, "--new", "--export", "review.csv"]) == 4
    assert path.read_text() == "{}"
    with pytest.raises(IntegrityError, match="not a review sample"):
        sampling.load(site)


# Releasing ------------------------------------------------------------------------------------------------------------


def test_only_a_finished_review_is_released_and_figures_only_by_policy(
    site: SiteFolder, person: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*REVIEW, "--release", "commitment"]) == 2
    assert "drawn no review sample" in capsys.readouterr().err
    person(*["n"] * 11)
    assert cli.main([*REVIEW, "--rows", "12"]) == 0
    assert cli.main([*REVIEW, "--release", "commitment"]) == 2
    assert "1 of 12 rows have no answer" in capsys.readouterr().err
    person("s")
    assert cli.main(REVIEW) == 0
    assert cli.main([*REVIEW, "--release", "figures"]) == 3
    assert "does not allow" in capsys.readouterr().err
    assert cli.main([*REVIEW, "--release", "everything"]) == 2
    assert not site.released.exists()


def test_a_commitment_binds_and_tells_nothing(site: SiteFolder, person: Callable[..., None]) -> None:
    person(*["n"] * 12)
    assert cli.main([*REVIEW, "--rows", "12"]) == 0
    assert cli.main([*REVIEW, "--release", "commitment"]) == 0
    path = site.released / "review-commitment.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    released = json.loads(path.read_text())
    assert set(released) == {"kind", "version", "site", "commitment"}
    opening = json.loads((site.reports / "review-opening.json").read_text())
    sample = sampling.load(site)
    assert sample is not None
    assert review_figures.commitment(sample, bytes.fromhex(opening["salt"])) == released["commitment"]
    assert cli.main([*REVIEW, "--release", "commitment"]) == 0
    assert json.loads(path.read_text())["commitment"] != released["commitment"]  # a fresh salt
    with pytest.raises(ValueError, match="32 bytes"):
        review_figures.commitment(sample, b"short")


def test_released_figures_hold_no_size_of_the_site(site: SiteFolder, person: Callable[..., None]) -> None:
    person(*["n"] * 12)
    assert cli.main([*REVIEW, "--rows", "12"]) == 0
    toml = Path("sites/hospital_a.toml")
    toml.write_text(toml.read_text().replace("[policy]\n", "[policy]\nrelease_review_figures = true\n"))
    assert cli.main([*REVIEW, "--release", "figures"]) == 0
    released = json.loads((site.released / "review-figures.json").read_bytes())
    assert released["reviewed"] == 12
    assert not {"strata", "engine_fingerprint", "sizes", "rows"} & set(released)
    assert canonical_bytes(released) + b"\n" == (site.released / "review-figures.json").read_bytes()
