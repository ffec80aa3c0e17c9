# SPDX-License-Identifier: Apache-2.0
"""preview and anonymize: original text on command only and escaped, counts without a word, and work that goes on."""

from __future__ import annotations

import base64
import io
import json
import re
import stat
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from client import cli
from client.commands.text_session import keyed_texts_of, paged
from client.data.corpus_view import RowPreview, open_texts
from client.enrolment import enroll, site_key_if_any
from client.review import preview
from client.settings.site_settings import SiteFolder
from privacy.pages.html import style_sheet
from privacy.text.reading.records import ENTITY_TYPES, AnonymizedRecord, Finding, TextRow
from privacy.text.run import cache as span_cache
from privacy.text.run.cache import SpanCache

AT_SITE = ["--site", "hospital_a"]
NOTE = (
    "Patient: Quenby Zorblatt, MRN 48271{at:02d}, wimbled gently. <script>alert('{at}')</script> "
    "Call 212-555-01{at:02d}."
)
WARNING = "ORIGINAL TEXT"


@pytest.fixture
def site(make_site: Callable[..., SiteFolder], monkeypatch: pytest.MonkeyPatch) -> SiteFolder:
    """A site of 30 invented notes, one of them with a control character; it has no keys yet."""
    monkeypatch.delenv("COLUMNS", raising=False)
    notes = [{"text": NOTE.format(at=at), "label": "grumbled", "id": f"case<{at}>"} for at in range(29)]
    return make_site([*notes, {"text": "Nothing but \x01 skrimble here.", "label": "grumbled", "id": "odd"}])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# preview --------------------------------------------------------------------------------------------------------------


def test_a_preview_shows_both_sides_and_warns(site: SiteFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*AT_SITE, "preview", "--rows", "2"]) == 0
    said = capsys.readouterr()
    assert said.out.count("[Quenby Zorblatt]") == 2  # brackets where there are no colours
    assert said.out.count("<PERSON>") == 2
    assert "record case<" in said.out
    assert WARNING in said.err
    assert "\x1b" not in said.out
    assert not site.spans.exists()


def test_a_preview_of_one_record_and_of_a_refused_one(site: SiteFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*AT_SITE, "preview", "--row", "case<7>", "--row", "odd", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)  # in the order of the splits, which are drawn anew without keys
    shown, refused = sorted(rows, key=lambda row: row["refused"] is not None)
    assert shown["before"] == NOTE.format(at=7)
    assert "Zorblatt" not in shown["after"]
    assert {finding["type"] for finding in shown["findings"]} >= {"PERSON", "PHONE_NUMBER"}
    assert (refused["after"], refused["refused"]) == (None, "control_characters")
    assert cli.main([*AT_SITE, "preview", "--row", "Zorblatt"]) == 2
    said = capsys.readouterr().err
    assert "1 of 1 rows asked for" in said
    assert "Zorblatt" not in said


def test_a_preview_shows_the_second_text_of_a_row_too(
    make_site: Callable[..., SiteFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    site = make_site(
        [{"text": NOTE.format(at=1), "other": "Is Quenby Zorblatt, MRN 4827199, well?", "label": "x", "id": "a"}]
    )
    site.toml.write_text(site.toml.read_text().replace("[data]", '[data]\npair_column = "other"'))
    assert cli.main([*AT_SITE, "preview", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["record_id"], second["record_id"]) == ("a", "a, second text")
    assert second["before"].startswith("Is Quenby Zorblatt")
    assert "4827199" not in second["after"]
    assert "MEDICAL_RECORD_NUMBER" in {finding["type"] for finding in second["findings"]}


def test_the_same_seed_draws_the_same_rows_and_another_others(site: SiteFolder) -> None:
    with open_texts(site, None) as texts:
        drawn = [{texts.rows[at][1].text for at in preview.choose(texts, [], count=5, seed=seed)} for seed in (0, 1)]
        assert drawn[0] != drawn[1]
        assert preview.choose(texts, [], count=500, seed=1) == list(range(30))
    with open_texts(site, None) as texts:  # another split: it has no keys
        assert {texts.rows[at][1].text for at in preview.choose(texts, [], count=5, seed=0)} == drawn[0]


class Tags(HTMLParser):
    """All tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def check_page(path: Path) -> Tags:
    """The page at `path`, after checks that hold for all our pages."""
    assert mode(path) == 0o600
    page = path.read_text(encoding="utf-8")
    parsed = Tags(page)
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "a"}
    attributes = {name for _, given in parsed.tags for name in given}
    assert not {name for name in attributes if name.startswith("on") or name in ("style", "src", "href", "srcset")}
    assert "url(" not in page
    assert "@import" not in page
    (policy,) = (given["content"] for _, given in parsed.tags if given.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(sha256(style_sheet().encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert f"<style>{style_sheet()}</style>" in page
    return parsed


def test_a_preview_page_is_private_closed_and_escaped(site: SiteFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*AT_SITE, "preview", "--row", "case<3>", "--html", "look.html"]) == 0
    said = capsys.readouterr()
    assert "Wrote sites/hospital_a/reports/look.html (mode 0600) with 1 row." in said.out
    assert WARNING in said.err
    assert "Zorblatt" not in said.out + said.err
    page = check_page(site.reports / "look.html")
    assert WARNING in page.text
    assert NOTE.format(at=3) in page.text
    assert "case<3>" in page.text
    tips = [given["data-tip"] for tag, given in page.tags if tag == "mark"]
    assert [tip for tip in tips if tip and re.fullmatch(r"PERSON, score 0\.\d\d, \w+", tip)]
    assert len(tips) % 2 == 0  # each finding is marked on both sides


def test_a_page_elsewhere_is_written_with_a_warning(site: SiteFolder, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    assert cli.main([*AT_SITE, "preview", "--rows", "1", "--html", "out/look.html"]) == 0
    assert "lies outside" in capsys.readouterr().err
    check_page(Path("out/look.html"))
    assert cli.main([*AT_SITE, "preview", "--rows", "1", "--html", "nowhere/look.html"]) == 2
    assert "nothing can be written into nowhere/" in capsys.readouterr().err


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_preview_fits_its_terminal(site: SiteFolder, width: int) -> None:
    with open_texts(site, None) as texts:
        shown = [texts.show(at) for at in preview.choose(texts, ["case<0>", "odd"], count=0, seed=0)]
        out = io.StringIO()
        console = Console(file=out, width=width, force_terminal=True, color_system="standard", highlight=False)
        with paged(console):
            console.print(preview.in_terminal(shown, texts, console))
    assert "\x1b[1;31mQuenby" in out.getvalue()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert max(len(line) for line in plain.splitlines()) <= width
    assert "refused: control_characters" in plain
    assert plain.count("Quenby") == 1


def test_text_that_turns_its_direction_cannot_turn_a_terminal(site: SiteFolder) -> None:
    with open_texts(site, None) as texts:
        split = texts.rows[0][0]
        turned = TextRow("r", "ab \u202edc", None, None)
        record = AnonymizedRecord("r", turned.text, None, None, ())
        out = io.StringIO()
        console = Console(file=out, width=80)
        console.print(preview.beside(RowPreview(turned, split, record, None), console, after="AFTER"))
    assert "\u202e" not in out.getvalue()


def channel(value: int) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def luminance(colour: str) -> float:
    red, green, blue = (channel(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_can_be_read_in_light_and_in_dark() -> None:
    """WCAG 2.2: contrast 4.5 to 1 for text, measured on the style sheet itself."""
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", part)) for part in style_sheet().split("@media")[:2])
    for scheme in (light, dark):
        pairs = [(f"{kind}-ink", kind) for kind in (*preview.STYLES,)]
        pairs += [
            ("ink", "paper"),
            ("ink", "ground"),
            ("quiet", "paper"),
            ("quiet", "ground"),
            ("warn-ink", "warn-paper"),
        ]
        for ink, paper in pairs:
            low, high = sorted((luminance(scheme[ink]), luminance(scheme[paper])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, paper)


# anonymize ------------------------------------------------------------------------------------------------------------


def test_anonymize_needs_keys_and_says_so(site: SiteFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*AT_SITE, "anonymize"]) == 2
    assert "enroll" in capsys.readouterr().err


def test_the_report_holds_counts_and_no_word_of_any_row(site: SiteFolder, capsys: pytest.CaptureFixture[str]) -> None:
    enroll(site)
    assert cli.main([*AT_SITE, "anonymize"]) == 0
    said = capsys.readouterr()
    files = [site.reports / "anonymization.json", site.reports / "anonymization.html"]
    report = json.loads(files[0].read_text())
    assert report["report"]["rows"] == 30
    assert report["report"]["refused"] == [["control_characters", 1]]
    assert report["by_entity"]["PERSON"] == report["documents"]["PERSON"] == 29
    assert sum(report["by_recognizer"].values()) == sum(report["by_entity"].values())
    assert report["replacement"] == "tag"
    assert not report["few_refused"]  # 1 of 30 is more than 1 %
    assert "A run would leave out 1 of 30 rows" in said.err
    assert mode(files[0]) == 0o600
    page = check_page(files[1])
    assert "control_characters" in page.text
    known = set(report["by_recognizer"]) | set(ENTITY_TYPES)
    vocabulary = {word.lower() for name in known for word in re.findall(r"[^\W_]+", name)} | {"patient", "call"}
    texts = " ".join(json.loads(line)["text"] for line in Path("notes.jsonl").read_text().splitlines())
    words = {word.lower() for word in re.findall(r"[^\W\d_]{4,}|\d{4,}", texts)} - vocabulary - {"nothing", "here"}
    assert words >= {"quenby", "zorblatt", "wimbled", "gently", "script", "alert", "skrimble", "4827100"}
    for content in (files[0].read_text(), page.text, said.out, said.err):
        without_digests = re.sub(r"\b[0-9a-f]{64}\b", "", content.lower())  # one of them has 0116 in it
        assert not {word for word in words if word in without_digests}
        assert "case<" not in content
        assert "grumbled" not in content


def test_anonymize_goes_on_where_it_was_interrupted(site: SiteFolder, capsys: pytest.CaptureFixture[str]) -> None:
    enroll(site)

    def interrupt(what: str, done: int, total: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with keyed_texts_of(site) as (texts, _):
        # The odd row is refused before it is analyzed, and the site's key decides where it stands.
        finished = sum("\x01" not in row.text for _, row in texts.rows[:20])
        with pytest.raises(KeyboardInterrupt):
            texts.anonymize(interrupt)
    assert cli.main([*AT_SITE, "anonymize", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"]["from_cache"] == finished
    assert cli.main([*AT_SITE, "anonymize", "--json", "--workers", "2"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["report"]["from_cache"] == 29
    assert again["rows_a_second"] is not None


def test_what_was_found_is_on_disk_before_the_run_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_cache, "COMMIT_SECONDS", 0.0)
    found = [Finding(0, 4, "PERSON", 0.5, "test")]
    with SpanCache(tmp_path / "spans", bytes(32)) as working:
        working.put("Jane", "0" * 64, found)
        with SpanCache(tmp_path / "spans", bytes(32)) as other:  # as after a kill: nothing was closed
            assert other.get("Jane", "0" * 64) == found


def test_reports_that_cannot_be_written_are_told_before_the_work(
    site: SiteFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    enroll(site)
    site.reports.rmdir()
    site.reports.write_text("in the way")
    assert cli.main([*AT_SITE, "anonymize"]) == 2
    said = capsys.readouterr().err
    assert "nothing can be written into reports/" in said
    assert "anonymizing" not in said


def test_an_empty_corpus_is_told(site: SiteFolder, capsys: pytest.CaptureFixture[str]) -> None:
    Path("notes.jsonl").write_text("")
    assert cli.main([*AT_SITE, "preview"]) == 2
    assert "the corpus is empty" in capsys.readouterr().err
    assert site_key_if_any(site) is None


def test_a_row_is_shown_as_it_would_be_trained_on(site: SiteFolder) -> None:
    """With surrogates that agree within a patient: one row alone is shown as the whole corpus is written."""
    notes = [
        {"text": f"Patient: Quenby Zorblatt. {word} by Dr. Zorblatt.", "label": "no", "id": word, "who": f"p{at % 3}"}
        for at, word in enumerate(("Seen", "Cured", "Fed", "Odd \x01", "Held", "Left"))
    ]
    Path("notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    toml = (
        site.toml.read_text()
        .replace('unit = "record"', 'unit = "patient"')
        .replace("[policy]", 'patient_column = "who"\n[policy]')
    )
    site.toml.write_text(toml + '[text]\nreplacement = "surrogate"\n')
    enroll(SiteFolder(site.toml))
    with keyed_texts_of(SiteFolder(site.toml)) as (texts, _):
        assert texts.replacement == "surrogate"
        records, _ = texts.anonymize(lambda what, done, total: None)
        shown = [texts.show(at).record for at in range(len(texts.rows))]
        assert [record for record in shown if record is not None] == records
        assert sum(record is None for record in shown) == 1
        assert not any("Zorblatt" in record.text for record in records)
