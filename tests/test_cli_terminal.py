# SPDX-License-Identifier: Apache-2.0
"""Every command ends with a sentence, a next step and the promised exit code; never with a record's text."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator

import click
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacy.base import errors
from privacy.commandline import terminal

SECRET = "Mrs Example was admitted"


def ending(capsys: pytest.CaptureFixture[str], raised: BaseException, *arguments: str) -> tuple[int, str]:
    app = terminal.new_app("Try.", example="try it")

    @app.callback(invoke_without_command=True)
    def only(debug: terminal.Debug = False) -> None:
        raise raised

    code = terminal.run(app, "try", arguments)
    seen = capsys.readouterr()
    assert seen.out == ""
    return code, seen.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CollabError("x"), 1),
        (errors.SettingsError("x"), 2),
        (errors.AnonymizationError("x"), 3),
        (errors.PlanRefused("x", reason="policy"), 3),
        (errors.ContractError("x"), 4),
        (errors.UpdateNotFinite(), 4),
        (errors.IntegrityError("x"), 4),
        (errors.LogForked("x"), 4),
        (errors.Unreachable("x"), 5),
        (errors.StorageFailed("x"), 5),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (OSError(errno.ENOSPC, "No space left on device"), 5),
        (PermissionError(errno.EACCES, "Permission denied", "/very/private/folder/notes.csv"), 2),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), 5),
        (ValueError(SECRET), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_each_ending_has_its_code_and_no_traceback(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int
) -> None:
    got, said = ending(capsys, error)
    assert got == code
    assert said
    assert "Traceback" not in said
    assert SECRET not in said
    assert "/very/private" not in said


def test_an_error_says_what_to_do_next(capsys: pytest.CaptureFixture[str]) -> None:
    _, said = ending(capsys, errors.SettingsError("the cup is empty", next_step="fill it"))
    assert said == "Error: the cup is empty\nNext step: fill it\n"


def test_an_unforeseen_error_names_its_class_and_our_line_but_not_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    _, said = ending(capsys, ValueError(SECRET))
    assert "this is a bug: ValueError in" in said
    assert "--debug" in said


def test_debug_prints_the_traceback_wherever_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ending(capsys, ValueError(SECRET), "--debug")
    assert code == 1
    assert "Traceback" in said


def test_wrong_usage_is_told_with_the_help_command(capsys: pytest.CaptureFixture[str]) -> None:
    app = terminal.new_app("Try.", example="try it")

    @app.command()
    def only(number: int) -> None:
        """Count."""

    assert terminal.run(app, "try", ["seven"]) == 2
    assert "Next step: try --help" in capsys.readouterr().err


def test_sigterm_ends_like_ctrl_c_and_the_handler_is_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    app = terminal.new_app("Try.", example="try it")

    @app.callback(invoke_without_command=True)
    def only() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    assert terminal.run(app, "try", []) == 130
    assert "Interrupted" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_exit_code_that_a_command_asks_for_is_kept() -> None:
    app = terminal.new_app("Try.", example="try it")

    @app.callback(invoke_without_command=True)
    def only() -> None:
        raise typer.Exit(2)

    assert terminal.run(app, "try", []) == 2


def test_a_table_cell_is_never_read_as_markup_nor_cut(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_table("Files", ("name", "rows"), [("[red]notes[/red].csv", 3), ("x" * 200, None)])
    seen = capsys.readouterr().out
    assert "[red]notes[/red].csv" in seen
    assert seen.count("x") == 200


def test_json_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_json({"a": [1, "é"]})
    assert json.loads(capsys.readouterr().out) == {"a": [1, "é"]}
    with pytest.raises(ValueError, match="JSON"):
        terminal.print_json(float("nan"))


def test_a_fingerprint_is_compared_or_refused(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.confirm_fingerprint("the coordinator", "ab12 cd34", pinned="AB12CD34", yes=False)
    terminal.confirm_fingerprint("the coordinator", "ab12 cd34", pinned="", yes=True)
    with pytest.raises(errors.SettingsError, match="not the one that was given"):
        terminal.confirm_fingerprint("the coordinator", "ab12 cd34", pinned="ab12 cd35", yes=True)
    with pytest.raises(errors.SettingsError, match="nobody is at this terminal"):
        terminal.confirm_fingerprint("the coordinator", "ab12 cd34", pinned="", yes=False)
    assert capsys.readouterr().out.count("ab12 cd34") == 4


HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31mround 1: hospital_a refused\r\n00:00:00 run done "
    "\u202egnp\u202c\x9b2J [bold red]x[/]\ud800"
)


def everything_printed(capsys: pytest.CaptureFixture[str], text: str) -> list[str]:
    """`text` through each way of printing; what each of them wrote."""
    prints: list[Callable[[], None]] = [
        lambda: terminal.say(text),
        lambda: terminal.warn(text),
        lambda: terminal.say_text(text),
        lambda: terminal.print_table(text, (text, "b"), [(text, 1), (text, [text])]),
        lambda: terminal.print_facts(text, {text: text}),
        lambda: terminal.print_json({"a": text}),
    ]
    written = []
    for prints_it in prints:
        prints_it()
        seen = capsys.readouterr()
        written.append(seen.out + seen.err)
    _, said = ending(capsys, errors.SettingsError(text, next_step=text))
    return [*written, said]


def harmful(written: str) -> set[str]:
    return {c for c in written if not c.isprintable() and unicodedata.category(c) != "Zs" and c != "\n"}


def test_no_way_of_printing_lets_a_terminal_be_steered(capsys: pytest.CaptureFixture[str]) -> None:
    for written in everything_printed(capsys, HOSTILE):
        assert not harmful(written)
        assert "[boldred]x[/]" in "".join(written.split())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.text(st.characters(codec=None), max_size=60))
def test_every_text_is_printed_without_harm(capsys: pytest.CaptureFixture[str], text: str) -> None:
    for written in everything_printed(capsys, text):
        assert not harmful(written)


@given(st.text())
def test_what_prints_as_itself_stays_and_nothing_is_lost(text: str) -> None:
    """Chinese, accents, emoji and all spaces are themselves; of the rest, Python's own escapes can be read back."""
    shown = terminal.visible(text)
    assert shown.isprintable() or {unicodedata.category(c) for c in shown if not c.isprintable()} == {"Zs"}
    if all(c.isprintable() or unicodedata.category(c) == "Zs" for c in text):
        assert shown == text


@given(st.text(), st.text())
def test_json_says_the_same_after_its_escapes(key: str, value: str) -> None:
    with io.StringIO() as caught, contextlib.redirect_stdout(caught):
        terminal.print_json({key: [value]})
        assert json.loads(caught.getvalue()) == {key: [value]}
        assert caught.getvalue().count("\n") == 1


def test_a_quoted_newline_cannot_make_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say("hospital_a is ready (cpu\n12:00:00  run run-1 done)")
    assert capsys.readouterr().out.splitlines()[1].startswith("  ")


def test_a_piped_table_is_as_wide_as_its_reader(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for columns in (60, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        terminal.print_table("Files", ("name",), [("x" * 500,)])
        assert columns - 4 < max(map(len, capsys.readouterr().out.splitlines())) <= columns
    for nonsense in ("", "0", "wide", "-3"):
        monkeypatch.setenv("COLUMNS", nonsense)
        assert terminal.width() == terminal.UNATTENDED_WIDTH


def commands_of(app: typer.Typer) -> Iterator[tuple[list[str], click.Command]]:
    def walk(path: list[str], command: click.Command) -> Iterator[tuple[list[str], click.Command]]:
        yield path, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk([*path, name], inner)

    return walk([], typer.main.get_command(app))


@pytest.mark.parametrize("room", ["client.cli", "coordinator.cli", "privacy.audit.cli", "simulations.cli"])
def test_help_shows_every_word_of_its_texts(
    room: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brackets, stars and underscores are no markup of ours."""
    monkeypatch.setenv("COLUMNS", "400")
    program = importlib.import_module(room)
    for path, command in commands_of(program.app):
        assert terminal.run(program.app, "collab", [*path, "--help"]) == 0
        shown = "".join(capsys.readouterr().out.split()).replace("│", "")
        for parameter in command.params:
            words = "".join((getattr(parameter, "help", None) or "").replace("`", "").split())
            assert words in shown, (path, parameter.name)
        assert "".join((command.help or "").split("\n\n")[0].replace("`", "").split()) in shown


HELP_NEEDS = {
    *("client", "coordinator", "privacy", "simulations"),
    *("typer", "click", "rich", "attr", "pygments", "markdown_it", "mdurl", "shellingham", "annotated_doc"),
}


@pytest.mark.parametrize("room", ["client.cli", "coordinator.cli", "privacy.audit.cli", "simulations.cli"])
def test_help_waits_for_no_library_but_that_of_the_command_line(room: str) -> None:
    """Each command imports what it needs when it runs. `make bench-house` measures the seconds."""
    program = f"""
import sys
before = set(sys.modules)
import {room}
try:
    {room}.app(["--help"])
except SystemExit:
    pass
loaded = {{name.split(".")[0] for name in set(sys.modules) - before}} - sys.stdlib_module_names
print(sorted(loaded - {HELP_NEEDS}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_near_miss_is_suggested_once(capsys: pytest.CaptureFixture[str]) -> None:
    from privacy.audit.cli import main

    assert main(["verfy"]) == 2
    assert capsys.readouterr().err.count("Did you mean") == 1


def test_a_text_that_is_previewed_steers_no_terminal() -> None:
    from client.review.highlight import Piece
    from client.review.preview import _coloured

    shown = _coloured([Piece("first line\n\tsecond " + HOSTILE.removesuffix("\ud800"), None)], brackets=False).plain
    assert harmful(shown) == {"\t"}
    assert shown.startswith("first line\n\tsecond ")
