# SPDX-License-Identifier: Apache-2.0
"""What all commands share: how they end, how they print, and how a fingerprint is confirmed.

Exit codes: 0 done, 2 wrong usage or settings, 3 refused by policy or budget, 4 verification failed, 5 incomplete or
unreachable, 130 interrupted, 1 a bug. An error is one sentence and its next step on stderr. No traceback unless --debug
asks for it: the text of an unforeseen error may quote a record. Results go to stdout, as a table or as one JSON value.

Whatever is printed passes `visible`: a terminal obeys the characters that it is sent, and a site's name for its machine
or a cell of a file may hold any.
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import signal
import sys
import threading
import traceback
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import click
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from privacy.base.errors import CollabError, SettingsError

INTERRUPTED: Final = 130
BUG: Final = 1
USAGE: Final = 2
INCOMPLETE: Final = 5
DEBUG: Final = "--debug"
_HOUSE: Final = Path(__file__).resolve().parents[2]
UNATTENDED_WIDTH: Final = 120
"""Columns of a table where neither COLUMNS nor a terminal says how wide; a wide cell is folded, never cut."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
Debug = Annotated[
    bool, typer.Option(DEBUG, help="On an unforeseen error, print the traceback. It may quote records: keep it here.")
]
Yes = Annotated[bool, typer.Option("--yes", help="The fingerprint was compared already: do not ask.")]
Pinned = Annotated[
    str, typer.Option("--fingerprint", help="Refuse unless the fingerprint is this one, as heard by telephone.")
]


def new_app(sentence: str, *, example: str) -> typer.Typer:
    """A typer app as all our commands have it."""
    return typer.Typer(
        help=sentence,
        epilog=f"Example: {example}",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",  # "rich" takes [brackets] for its own
        suggest_commands=False,  # click suggests already
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def example(command: str) -> str:
    """The last line of a command's help."""
    return f"Example: {command}"


def run(app: typer.Typer, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; the only place where errors become sentences."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait must sleep: others need the cores too
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _terminated_like_interrupted():
            result = app([word for word in given if word != DEBUG], prog_name=name, standalone_mode=False)
        if result == INTERRUPTED:  # typer's word for a KeyboardInterrupt inside a command
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except BaseException as error:
        failure = error
    code = _tell(failure, name)
    if DEBUG in given:
        traceback.print_exception(failure)
    return code


def end(code: int) -> NoReturn:
    """End this process with `code`, after all that is registered for its end.

    The interpreter's own teardown is left out: threads of native libraries that still run abort in it at times
    ("terminate called without an active exception"), and a clean end would then be told as a crash.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _tell(error: BaseException, name: str) -> int:
    """Say what went wrong and what to do; the exit code comes back."""
    match error:
        case CollabError():
            _complain(error.message, error.next_step)
            return error.exit_code
        case click.UsageError():
            _complain(error.format_message(), f"{error.ctx.command_path if error.ctx else name} --help")
            return USAGE
        case KeyboardInterrupt() | click.Abort():
            warn("Interrupted: nothing is half-written. Start the same command again to go on.")
            return INTERRUPTED
        case BrokenPipeError():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        case OSError():
            return _complain_of_the_machine(error)
        case Exception():
            _complain(f"this is a bug: {type(error).__name__} in {_place(error)}", f"{DEBUG} shows more; report it")
            return BUG
    raise error


def visible(text: str) -> str:
    """`text` with every character that does not print as itself written out: controls, newlines, bidirectional marks,
    surrogates, what Unicode has not assigned. Letters, signs and spaces of all languages stay as they are."""
    return "".join(character if _prints(character) else _written_out(character) for character in text)


def say(sentence: str) -> None:
    """One sentence to stdout, at once. A further line is set in, so that nothing quoted can pass for a line of ours."""
    print(_lines(sentence, "\n  "), flush=True)


def say_text(text: str) -> None:
    """A text of several lines to stdout, such as a help or a settings file."""
    print(_lines(text, "\n"), flush=True)


def warn(sentence: str) -> None:
    """One sentence to stderr, at once: results on stdout stay clean."""
    print(_lines(sentence, "\n  "), file=sys.stderr, flush=True)


def print_json(value: object) -> None:
    """One JSON value to stdout, on one line. Characters that do not print stand as JSON's own escapes."""
    encoded = json.dumps(value, ensure_ascii=False, allow_nan=False)
    print("".join(character if _prints(character) else _in_json(character) for character in encoded), flush=True)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table to stdout; numbers stand to the right."""
    held = [[visible(_cell(value)) for value in row] for row in rows]
    heading = Text(visible(title), style="table.title")  # Text: neither a title nor a file's name is markup
    table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, show_header=any(columns))
    for at, column in enumerate(columns):
        right = bool(held) and all(_is_number(row[at]) for row in held)
        table.add_column(Text(visible(column)), justify="right" if right else "left", overflow="fold")
    for row in held:
        table.add_row(*(Text(cell) for cell in row))
    Console(width=width()).print(table)


def width() -> int | None:
    """Columns of what goes to stdout; None: its terminal's own. Into a pipe, those of whoever looks at the other end:
    COLUMNS, or the terminal that stderr still has."""
    if sys.stdout.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(sys.__stderr__.fileno()).columns if sys.__stderr__ else UNATTENDED_WIDTH
    except (OSError, ValueError):
        return UNATTENDED_WIDTH


def print_facts(title: str, facts: Mapping[str, object]) -> None:
    """A table of two columns."""
    print_table(title, ("", ""), list(facts.items()))


def confirm_fingerprint(whose: str, fingerprint: str, *, pinned: str, yes: bool) -> None:
    """Show `fingerprint` and go on only when somebody has compared it with the one at the other end.

    Raises SettingsError when it is not the pinned one, when it was declined, or when nobody is there to be asked.
    """
    say(f"Fingerprint of {whose}: {fingerprint}")
    if pinned:
        if "".join(pinned.split()).lower() != "".join(fingerprint.split()):
            raise SettingsError(
                f"the fingerprint of {whose} is not the one that was given; nothing was changed",
                next_step="compare both by telephone, with somebody whose voice you know, before you go on",
            )
        return
    if yes:
        return
    if not sys.stdin.isatty():
        raise SettingsError(
            "nobody is at this terminal to compare the fingerprint; nothing was changed",
            next_step='compare it by telephone, then give --fingerprint "..." (or --yes if it was compared already)',
        )
    if not typer.confirm("Compare it by telephone with the other side. Is it the same?"):
        raise SettingsError("the fingerprint was not confirmed; nothing was changed", next_step="ask for a new file")


def _complain(message: str, next_step: str | None) -> None:
    warn(f"Error: {message}")
    if next_step:
        warn(f"Next step: {next_step}")


def _complain_of_the_machine(error: OSError) -> int:
    """Disk and network are not ours to mend; a path is named by its last part only."""
    where = f" ({Path(os.fsdecode(error.filename)).name})" if isinstance(error.filename, str | bytes) else ""
    reason = error.strerror or type(error).__name__
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
        _complain(f"the disk refused a write: {reason}{where}", "make room, then start the same command again")
        return INCOMPLETE
    if error.errno in (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
        _complain(f"{reason}{where}", "check the name and the rights of the file")
        return USAGE
    if isinstance(error, ConnectionError | TimeoutError) or error.errno in (errno.EADDRINUSE, errno.EHOSTUNREACH):
        _complain(f"the network refused: {reason}", "check address and port, then start the same command again")
        return INCOMPLETE
    _complain(f"the operating system refused: {reason}{where}", f"{DEBUG} shows more")
    return BUG


def _place(error: BaseException) -> str:
    """The last line of our own code on the way to the error."""
    frames = traceback.extract_tb(error.__traceback__)
    rooms = [str(_HOUSE / room) + os.sep for room in ("coordinator", "client", "privacy", "simulations")]
    ours = [frame for frame in frames if frame.filename.startswith(tuple(rooms))] or frames
    return f"{Path(ours[-1].filename).name}, line {ours[-1].lineno}" if ours else "an unknown place"


def _prints(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _in_json(character: str) -> str:
    """The one or two escapes that JSON has for a character."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2], 'big'):04x}" for at in range(0, len(units), 2))


def _lines(text: str, joined: str) -> str:
    return joined.join(visible(line) for line in text.split("\n"))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return text == "-"
    return True


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM, as a service manager sends it, ends a command as cleanly as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: Any = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
