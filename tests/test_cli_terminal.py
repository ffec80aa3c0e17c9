# SPDX-License-Identifier: Apache-2.0
"""Every command ends with a sentence, a next step and the promised exit code; never with a record's text."""

from __future__ import annotations

import errno
import json
import os
import signal

import click
import pytest
import typer

from privacy import errors, terminal

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
