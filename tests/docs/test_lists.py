# SPDX-License-Identifier: Apache-2.0
"""Lists in the docs against the code that they list: nothing is missing there, and nothing is there that is gone.

One place for each list. A page that names one of these things elsewhere is held to exist by its name alone.
"""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import typer
from click import Group
from pydantic import BaseModel

import client.cli
import coordinator.cli
import privacy.audit.cli
import simulations.cli
from client.settings.policy import PolicySection
from client.settings.site_settings import SiteSettings
from coordinator.settings import FederationSettings
from privacy.base import errors, parts
from privacy.commandline import terminal
from privacy.protocol import kinds, messages, phases
from privacy.protocol.enrolment import Enrolment
from privacy.protocol.plans import Scope
from privacy.text.reading.modes import MODES

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("client", "coordinator", "privacy", "simulations", "tests", "docs")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
LEAVES = (
    Enrolment,
    messages.Envelope,
    messages.SiteHello,
    messages.SiteUpdate,
    messages.SiteMetrics,
    messages.Refusal,
)
"""What may leave a site: the envelope, and every body that a site signs."""
PROGRAMS = {
    "collab-client": client.cli.app,
    "collab-coordinator": coordinator.cli.app,
    "collab-audit": privacy.audit.cli.app,
    "collab-sim": simulations.cli.app,
}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(name: str, title: str) -> str:
    """What stands under a heading of a page, its sub-headings included."""
    (found,) = re.findall(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", text_of(name), re.M | re.S)
    return str(found[1])


def codes(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def first_column(text: str) -> list[str]:
    """The words in code in the first cell of each row."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return [code for cell in rows[2:] for code in codes(cell)]


def bullets(text: str) -> Iterator[list[str]]:
    """The words in code of each bullet, in order."""
    for bullet in re.split(r"^- ", text, flags=re.M)[1:]:
        yield codes(re.split(r"\n\s*\n", bullet)[0])


def test_the_tasks() -> None:
    table = section("docs/tasks.md", "Tasks").split("`regression` needs")[0]
    assert sorted(first_column(table)) == sorted(parts.names("client.learning.tasks"))


def test_the_scopes() -> None:
    assert sorted(first_column(section("docs/tasks.md", "Scopes"))) == sorted(get_args(Scope))


def test_the_entry_kinds() -> None:
    table = section("docs/audit-log.md", "Format").split("The kinds of entry")[1].split("\n\n")[1]
    assert sorted(first_column(table)) == kinds.names()


def test_the_reason_codes() -> None:
    table = section("docs/audit-log.md", "Reason codes")
    table = table[table.index("|") : table.rindex("|")]
    assert sorted(first_column(table)) == sorted(get_args(messages.ReasonCode))


@pytest.mark.parametrize("name", NAMES)
def test_every_refusal_that_a_page_quotes_has_a_known_reason(name: str) -> None:
    quoted = re.findall(r"\((?:hello|update|evaluate): (\w+)\)", text_of(name))
    assert set(quoted) <= set(get_args(messages.ReasonCode))


def tree(error: type[errors.CollabError]) -> set[int]:
    return {error.exit_code}.union(*(tree(one) for one in error.__subclasses__()))


def test_the_exit_codes() -> None:
    rows = re.findall(r"^\| (\d+) \|", section("docs/operate-a-site.md", "Exit codes"), re.M)
    used = {0, 1, terminal.USAGE, terminal.INTERRUPTED, *tree(errors.CollabError)}
    assert sorted(map(int, rows)) == sorted(used)


def test_what_leaves_a_site_field_by_field() -> None:
    listed = {words[0]: words[1:] for words in bullets(section("docs/data-path.md", "What leaves the building"))}
    assert {name: sorted(fields) for name, fields in listed.items()} == {
        body.__name__: sorted(body.model_fields) for body in LEAVES
    }


def test_no_other_body_is_signed_by_a_site() -> None:
    signed = {phases.definition_of(phase).body for phase in phases.names()}
    assert {Enrolment, messages.Envelope, messages.Refusal} | signed == set(LEAVES)
    assert {"delivery", "refusal"} == phases.BESIDE_REPLIES


@pytest.mark.parametrize(
    "folder", ["privacy/aggregation", "privacy/dp/clipping", "privacy/text/find/engines", "privacy/text/find/ner"]
)
def test_the_parts_that_are_there(folder: str) -> None:
    (row,) = [line for line in text_of("docs/add-a-part.md").splitlines() if f"`{folder}/NAME.py`" in line]
    assert sorted(codes(row.split("|")[2])) == sorted(parts.names(folder.replace("/", ".")))


def test_the_replacement_modes() -> None:
    (sentence,) = re.findall(r"`text\.replacement` has (.*?)\n\n", text_of("docs/operate-a-site.md"), re.S)
    assert {code for code in codes(sentence) if code != "default"} == set(MODES)


def test_the_policy() -> None:
    (keys,) = re.findall(r"`\[policy\]`, (.*?)\n\n", text_of("docs/operate-a-site.md"), re.S)
    assert sorted(codes(keys)) == sorted(PolicySection.model_fields)


def keys_of(settings: type[BaseModel]) -> set[str]:
    sections = {name: field.annotation for name, field in settings.model_fields.items()}
    return {
        f"{name}.{key}"
        for name, model in sections.items()
        if isinstance(model, type) and issubclass(model, BaseModel)
        for key in model.model_fields
    }


NO_KEYS = {"md", "py", "toml", "json", "key", "safetensors"}
"""Suffixes of files, whose names begin like a section: `site.key`."""
KEYS = keys_of(SiteSettings) | keys_of(FederationSettings)
SECTIONS = {key.split(".")[0] for key in KEYS}


def settings_named(text: str) -> set[str]:
    """The `section.key` words of a page; a site's or a federation's section, and no file."""
    words = re.findall(r"`(?:\[)?(\w+)\.(\w+)\b(?!\.)[^`\n]*`", text)
    settings = {f"{name}.{key}" for name, key in words if name in SECTIONS and key not in NO_KEYS}
    return {name for name in settings if not resolves(name)}


NOT_SETTINGS = {"plan.anonymization", "update.self_check", "update.mechanism_check"}
"""Fields of log entries, whose first word is also a section's."""


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_that_a_page_names_exists(name: str) -> None:
    assert settings_named(text_of(name)) - KEYS - NOT_SETTINGS == set()


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_commands(program: str) -> None:
    command = typer.main.get_command(PROGRAMS[program])
    assert isinstance(command, Group)
    (listed,) = [words[1:] for words in bullets(section("docs/index.md", "Commands")) if words[0] == program]
    assert sorted(listed) == sorted(command.commands)


def test_the_dependencies() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    extras = [one for name, some in project["optional-dependencies"].items() if name != "dev" for one in some]
    declared = {re.split(r"[<>=\[ ]", line)[0] for line in [*project["dependencies"], *extras]}
    listed = set(codes(text_of("docs/adr/0010-dependencies.md").split("- Not an extra")[0]))
    assert declared - listed == set()
    assert {name for name in listed if re.fullmatch(r"[a-z][a-z0-9-]*", name)} - declared <= {
        "datasets",  # named as what is not there
        *project["optional-dependencies"],
    }


DOTTED = re.compile(r"`((?:client|coordinator|privacy|simulations)(?:\.\w+)+)[`(]")
FILE = re.compile(r"`([\w-]+(?:/[\w-]+)+\.\w+)`")
"""A file in code, as its path in the repository or the end of one: `privacy/dp/noise.py`, `recognizers/names.py`."""

LAYOUT = re.compile(r"^(client|coordinator|privacy|privacy/text|simulations) {2,}(\S.*)$", re.M)
NOT_OURS = {"Dataset"}
"""Classes of other people's that a page names."""


def resolves(dotted: str) -> bool:
    """Whether a module, or a name in one, is there."""
    words = dotted.split(".")
    for end in range(len(words), 0, -1):
        try:
            found: object = importlib.import_module(".".join(words[:end]))
        except ModuleNotFoundError:
            continue
        for word in words[end:]:
            if not hasattr(found, word):
                return False
            found = getattr(found, word)
        return True
    return False


@pytest.mark.parametrize("name", [name for name in NAMES if DOTTED.search(text_of(name))])
def test_every_module_and_function_that_a_page_names_exists(name: str) -> None:
    named = {dotted for dotted in DOTTED.findall(text_of(name)) if dotted not in KEYS and not dotted.endswith(".key")}
    assert {dotted for dotted in named if not resolves(dotted)} == set()


@pytest.mark.parametrize("name", [name for name in NAMES if FILE.search(text_of(name))])
def test_every_file_that_a_page_names_in_code_exists(name: str) -> None:
    """Of this repository: what lies in a site's or a coordinator's folder (`sites/...`) is made there."""
    files = [path.relative_to(ROOT).as_posix() for top in TOPS for path in (ROOT / top).rglob("*.*")]
    named = {path for path in FILE.findall(text_of(name)) if path.split("/")[0] in TOPS or path.endswith(".py")}
    gone = {path for path in named if not any(f"/{file}".endswith(f"/{path}") for file in files)}
    assert {path for path in gone if "NAME" not in path} == set()


def members() -> dict[str, set[str]]:
    """By class of ours: what it defines, and what its functions set on themselves."""
    found: dict[str, set[str]] = {}
    for path in (path for top in TOPS[:4] for path in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                inner = [one for one in ast.walk(node) if one is not node]
                found.setdefault(node.name, set()).update(
                    [one.name for one in inner if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))],
                    [
                        one.target.id
                        for one in inner
                        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
                    ],
                    [one.attr for one in inner if isinstance(one, ast.Attribute)],
                )
    return found


MEMBER = re.compile(r"`([A-Z]\w+)\.([a-z]\w+)[`(]")


def test_every_method_that_a_page_names_is_of_a_class_of_ours() -> None:
    named = {pair for name in NAMES for pair in MEMBER.findall(text_of(name)) if pair[0] not in NOT_OURS}
    ours = members()
    assert {f"{kind}.{member}" for kind, member in named if member not in ours.get(kind, ())} == set()
    assert named


def test_the_map_names_rooms_that_are_there_and_leaves_none_out() -> None:
    (block,) = re.findall(r"```text\n(.*?)```", section("docs/index.md", "The house"), re.S)
    lines = dict(LAYOUT.findall(block))
    assert set(lines) == {"client", "coordinator", "privacy", "privacy/text"}
    for place, line in lines.items():
        words = re.findall(r"[\w]+/?", line)
        rooms = {word.rstrip("/") for word in words}
        here = [path for path in (ROOT / place).rglob("*") if path.is_dir() or path.suffix == ".py"]
        assert rooms <= {path.stem for path in here}, place
        folders = {path.name for path in (ROOT / place).iterdir() if path.is_dir() and (path / "__init__.py").exists()}
        assert folders - rooms - {"text"} == set(), place
