# SPDX-License-Identifier: Apache-2.0
"""The docs against the house: what they show runs, exists under that name, and promises nothing that is not kept.

A line that starts with `$ ` in a ```console block is run, in order, by one bash session for each page. Other blocks are
read only for names of commands and options.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import typer
from click import Command, Group

import client.cli
import coordinator.cli
import privacy.audit.cli
import simulations.cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
APPS = {
    "collab-client": client.cli.app,
    "collab-coordinator": coordinator.cli.app,
    "collab-audit": privacy.audit.cli.app,
    "collab-sim": simulations.cli.app,
}
GOES_ON_FROM = {"docs/review-a-run.md": "README.md"}
"""A page that looks at what another page's commands left, and whose commands run after them."""
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?<![\w/-])(?:\.venv/bin/)?(collab-(?:client|coordinator|audit|sim)\b[^`\n|>;&]*)")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands_of(name: str) -> list[str]:
    """The lines that a reader is told to type, in order."""
    blocks = [body for kind, body in BLOCK.findall(text_of(name)) if kind == "console"]
    return [line.removeprefix("$ ") for body in blocks for line in body.splitlines() if line.startswith("$ ")]


def session_of(name: str) -> list[str]:
    """The commands of a page, after those that it goes on from; `make` is another test's."""
    before = session_of(GOES_ON_FROM[name]) if name in GOES_ON_FROM else []
    return before + [command for command in commands_of(name) if not command.startswith("make ")]


WITH_COMMANDS = [name for name in NAMES if session_of(name)]
RUN = [name for name in WITH_COMMANDS if name not in GOES_ON_FROM.values()]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", RUN)
def test_every_command_of_a_page_runs_in_an_empty_folder(name: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    script = "set -m -e -o pipefail\n" + "".join(
        f"echo {shlex.quote(f'$ {command}')}\n{command}\n" for command in session_of(name)
    )
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=880,
    )
    print(done.stdout)  # shown with pytest -s
    assert done.returncode == 0, done.stdout


def test_the_pages_with_commands_are_found() -> None:
    assert {"README.md", "docs/operate-a-site.md", "docs/run-a-federation.md"} <= set(WITH_COMMANDS)


@pytest.mark.parametrize("name", [name for name in NAMES if "$ make " in text_of(name)])
def test_every_make_target_of_a_page_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", text_of("Makefile"), re.MULTILINE))
    assert {command.split()[1] for command in commands_of(name) if command.startswith("make ")} <= targets


@cache
def command_tree(name: str) -> Command:
    return typer.main.get_command(APPS[name])


def options_of(command: Command) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help",
        "-h",
    }


def check_words(words: list[str]) -> str | None:
    """What is wrong with a command line as the docs show it; None when it can be typed."""
    command: Command = command_tree(words[0])
    at = 1
    while at < len(words):
        word = words[at]
        if word.startswith("-"):
            if word not in options_of(command):
                return f"{command.name} has no {word}"
            option = next(one for one in command.params if word in one.opts) if word not in ("--help", "-h") else None
            at += 1 if option is None or getattr(option, "is_flag", False) else 2
            continue
        if isinstance(command, Group):
            if word not in command.commands:
                return f"{words[0]} has no command {word}"
            command = command.commands[word]
        at += 1
    return None


@pytest.mark.parametrize("name", NAMES)
def test_every_command_line_on_a_page_exists_with_its_options(name: str) -> None:
    wrong = []
    for block in (*BLOCK.findall(text_of(name)),):
        for line in COMMAND.findall(block[1] if block[0] != "python" else ""):
            words = shlex.split(line, comments=True)
            if (problem := check_words(words)) is not None:
                wrong.append(f"{line}: {problem}")
    for line in re.findall(r"`(collab-(?:client|coordinator|audit|sim) [^`\n]*)`", text_of(name)):
        words = [word for word in line.split() if word != "…"]
        if (problem := check_words(words)) is not None:
            wrong.append(f"{line}: {problem}")
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_of_a_page_points_to_something(name: str) -> None:
    without_code = BLOCK.sub("", text_of(name))
    links = re.findall(r"\]\(([^)\s]+)\)", without_code)
    here = (ROOT / name).parent
    missing = [link for link in links if "://" not in link and not (here / link.split("#")[0]).exists()]
    assert missing == []


FORBIDDEN = (
    (r"\b(?:fully|truly|completely|provably|guaranteed)[ -](?:anonymous|anonymi[sz]ed|private|secure)\b", "absolute"),
    (r"\b(?:is|are|stays?|remains?|becomes?) (?:all )?anonymous\b", "anonymous"),
    (r"\bHIPAA[- ](?:compliant|certified)\b|\bGDPR[- ](?:compliant|certified)\b", "compliance"),
    (r"\b(?:cannot|can never|impossible to) (?:be )?(?:leak|re-?identif\w*|hack\w*|br(?:eak|oken))\b", "impossible"),
    (r"\b(?:100 ?%|perfect) (?:recall|privacy|security|anonymi\w*)\b", "perfect"),
    (r"\bmilitary[- ]grade\b|\bunbreakable\b|\btrustless\b", "advertising"),
)
"""What no page may say of this software; a sentence with "not", "no" or "never" before it is no such claim."""


@pytest.mark.parametrize("name", NAMES)
def test_no_page_claims_what_nobody_can_keep(name: str) -> None:
    prose = " ".join(BLOCK.sub("", text_of(name)).split())
    claims = []
    for sentence in re.split(r"(?<=[.:;])\s", prose):
        for pattern, kind in FORBIDDEN:
            found = re.search(pattern, sentence, re.IGNORECASE)
            if found and not re.search(r"\b(?:not?|never|nobody|nothing)\b", sentence[: found.start()], re.IGNORECASE):
                claims.append(f"{kind}: {sentence}")
    assert claims == []


def test_a_forbidden_claim_would_be_found() -> None:
    assert re.search(FORBIDDEN[0][0], "the result is fully anonymous")
    assert re.search(FORBIDDEN[1][0], "afterwards the text is anonymous")


@pytest.mark.parametrize("name", NAMES)
def test_no_page_holds_a_path_of_somebodys_machine(name: str) -> None:
    assert re.search(r"(?<![\w.])/(?:home|Users|root|tmp|work)/", text_of(name)) is None
