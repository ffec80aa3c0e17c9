# SPDX-License-Identifier: Apache-2.0
"""How many of our own faults do the tests find? Each is made in a copy of the tree, never in place, one at a time.

First every named test runs on the unchanged copy: a test that fails anyway kills nothing. Then each mutation runs the
tests that were chosen for it; a failure or a timeout kills it. Results are kept one by one under out/mutants, by the
text of mutation, file and tests, so that an interrupted run goes on. `--quick` takes those that CI runs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Final, Literal, NoReturn

import pytest

from simulations.benchmarks.mutations import ROOT, Mutation, load
from simulations.benchmarks.report import Row, write_report

MutantVerdict = Literal["killed", "timeout", "survived"]

ROOMS: Final = ("client", "coordinator", "privacy", "simulations", "tests", "docs")
FILES: Final = ("pyproject.toml", "Makefile", "README.md", "CHANGELOG.md", "constraints.txt")
SECONDS: Final = 420
"""A mutated loop may never end: that is found too."""

PASSED, USAGE, NO_TESTS = 0, 4, 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the survivors, and return 0 only when none is left."""
    given = _parse(arguments)
    chosen = [m for m in load(only_quick=given.quick) if given.only in m.label]
    began = time.monotonic()
    warm()
    with scratch() as tree:
        verdicts = KeptVerdicts(given.out / "mutants", tree)
        missing = verdicts.missing(chosen)
        if given.check:
            check_unchanged(tree, missing or chosen)
            return 0
        if given.kept:
            chosen = [mutation for mutation in chosen if mutation not in missing]
        elif missing:
            if not given.checked:
                check_unchanged(tree, missing)
            try_each(tree, missing, verdicts)
        return report(chosen, verdicts, time.monotonic() - began, quick=given.quick, out=given.out)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutations whose package/name holds this text")
    parser.add_argument("--quick", action="store_true", help="the ones that CI runs")
    parser.add_argument("--out", type=Path, default=ROOT / "out")
    parser.add_argument("--check", action="store_true", help="only run the named tests on the unchanged tree")
    parser.add_argument("--checked", action="store_true", help="the named tests were run on this very tree already")
    parser.add_argument("--kept", action="store_true", help="try nothing: report the verdicts that are kept")
    return parser.parse_args(arguments)


def try_each(tree: Path, mutations: Sequence[Mutation], verdicts: KeptVerdicts) -> None:
    """Judge each, keep its verdict and say it."""
    for at, mutation in enumerate(mutations, 1):
        verdict = judge(tree, mutation)
        verdicts.put(mutation, verdict)
        print(f"{at} of {len(mutations)}  {verdict:8}  {mutation.label}", flush=True)


def report(chosen: Sequence[Mutation], stored: KeptVerdicts, seconds: float, *, quick: bool, out: Path) -> int:
    """Write out/bench-mutants.json and name the survivors."""
    verdicts = {mutation.label: stored.get(mutation) for mutation in chosen}
    survivors = sorted(label for label, verdict in verdicts.items() if verdict == "survived")
    share = round(1 - len(survivors) / len(chosen), 4) if chosen else None
    tried = Counter(mutation.package for mutation in chosen)
    killed = Counter(mutation.package for mutation in chosen if mutation.label not in survivors)
    rows = [
        Row("mutations_tried", len(chosen), "mutations", reach=">= 100"),
        Row("mutations_killed", share, "share", reach=">= 0.95", n=len(chosen), note="; ".join(survivors)),
        *(Row(f"killed_{name}", killed[name] / n, "share", n=n) for name, n in sorted(tried.items())),
    ]
    write_report("mutants", rows, seconds=seconds, quick=quick, out=out)
    for label in survivors:
        print(f"SURVIVED  {label}")
    return int(bool(survivors))


class KeptVerdicts:
    """Verdicts on disk, one file each, of the texts in `tree`."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self.folder, self.tree = folder, tree

    def get(self, mutation: Mutation) -> MutantVerdict | None:
        path = self._path(mutation)
        return json.loads(path.read_text())["verdict"] if path.exists() else None

    def missing(self, mutations: Sequence[Mutation]) -> list[Mutation]:
        """Those without a verdict."""
        return [mutation for mutation in mutations if self.get(mutation) is None]

    def put(self, mutation: Mutation, verdict: MutantVerdict) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        held = {"mutation": mutation.label, "verdict": verdict}
        partial = self._path(mutation).with_suffix(".partial")
        partial.write_text(json.dumps(held) + "\n")
        partial.replace(self._path(mutation))

    def _path(self, mutation: Mutation) -> Path:
        return self.folder / f"{mutation.key(self.tree)}.json"


@contextmanager
def scratch() -> Iterator[Path]:
    """A copy of the tree, with `shared` beside it where there is one: big files are links, Python files are copies."""
    with TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder) / "tree"
        tree.mkdir()
        for room in ROOMS:
            ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
            shutil.copytree(ROOT / room, tree / room, ignore=ignored, copy_function=_copied)
        for name in FILES:
            shutil.copyfile(ROOT / name, tree / name)
        if (ROOT.parent / "shared").is_dir():
            (Path(folder) / "shared").symlink_to((ROOT.parent / "shared").resolve())
        yield tree


def _copied(source: str, target: str) -> str:
    if (
        Path(source).suffix in (".py", ".toml", ".md", ".json")
        or Path(source).stat().st_dev != Path(target).parent.stat().st_dev
    ):
        return shutil.copyfile(source, target)
    os.link(source, target)
    return target


def check_unchanged(tree: Path, mutations: Sequence[Mutation]) -> None:
    """Raises SystemExit when a named test is not there, or fails without any fault."""
    for arguments in _runs_of_pytest(mutations):
        code, output = run_tests(tree, arguments, seconds=SECONDS * 10, first_failure=False)
        if code != PASSED:
            raise SystemExit(f"named tests do not pass on the unchanged tree (pytest: {code}):\n{output[-6000:]}")


def _runs_of_pytest(mutations: Sequence[Mutation]) -> list[tuple[str, ...]]:
    """Arguments of pytest that run each named test once: one run for each selection, and one for all the others."""
    selected = {mutation.arguments for mutation in mutations if mutation.select}
    tests = {test for mutation in mutations if not mutation.select for test in mutation.tests}
    within_files = {test for test in tests if "::" in test and test.split("::")[0] in tests}
    together = tuple(sorted(tests - within_files))
    return [*sorted(selected), *filter(None, [together])]


def judge(tree: Path, mutation: Mutation) -> MutantVerdict:
    """Make the fault, run its tests, and mend it again."""
    path = tree / mutation.file
    before = path.read_text(encoding="utf-8")
    _write(path, mutation.applied(before))
    try:
        code, output = run_tests(tree, mutation.arguments, seconds=SECONDS)
    except TimeoutError:
        return "timeout"
    finally:
        _write(path, before)
    if code in (USAGE, NO_TESTS):
        raise SystemExit(f"{mutation.label}: pytest ends with {code}\n{output[-3000:]}")
    return "survived" if code == PASSED else "killed"


def _write(path: Path, text: str) -> None:
    """Without its compiled form, which is told by seconds and length alone."""
    path.write_text(text, encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def run_tests(tree: Path, tests: Sequence[str], *, seconds: float, first_failure: bool = True) -> tuple[int, str]:
    """pytest's exit code and what it said, in `tree` and with nothing of the tree outside.

    Raises TimeoutError. The tests run in a fork of this process, which holds the libraries that most of them import.
    """
    options = ["-q", "-p", "no:cacheprovider", "--no-header", *(["-x"] if first_failure else [])]
    with TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            _become_pytest(tree, [*options, *tests], output.fileno())
        code = _ended(child, seconds)
        output.seek(0)
        return code, output.read().decode("utf-8", "replace")


def _become_pytest(tree: Path, arguments: list[str], output: int) -> NoReturn:
    code = -1
    try:
        os.setsid()
        for stream in (1, 2):
            os.dup2(output, stream)
        os.chdir(tree)
        os.environ["PYTHONPATH"] = str(tree)
        elsewhere = (str(ROOT), "")
        sys.path[:] = [str(tree), *(place for place in sys.path if place not in elsewhere)]
        for loaded in [name for name in sys.modules if name.partition(".")[0] in ROOMS]:
            del sys.modules[loaded]
        ours = importlib.import_module("privacy").__file__ or ""
        assert ours.startswith(str(tree)), "the tests would read another tree"
        code = int(pytest.main(arguments))
    finally:
        sys.stdout.flush()
        os._exit(code if code >= 0 else 99)


def _ended(child: int, seconds: float) -> int:
    """The exit code of `child`; with all that its tests started it is killed when the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise TimeoutError


def warm() -> None:
    """Import once what most tests need and no mutation touches."""
    os.environ |= {"OMP_NUM_THREADS": "1", "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
    for name in ("torch", "numpy", "scipy.stats", "pydantic", "typer", "rich.console", "cryptography", "hypothesis"):
        importlib.import_module(name)
    for name in (
        "transformers",
        "opacus",
        "dp_accounting.pld",
        "flwr.common",
        "flwr.server",
        "pyarrow",
        "presidio_analyzer",
    ):
        with suppress(ImportError):
            importlib.import_module(name)


if __name__ == "__main__":
    sys.exit(main())
