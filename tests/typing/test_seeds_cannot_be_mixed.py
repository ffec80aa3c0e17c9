# SPDX-License-Identifier: Apache-2.0
"""The type checker proves it: no public seed drives noise, and no secret one is logged. mypy refuses each mixture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).resolve().parents[2]

RIGHT = """
from privacy.dp.keystream import KeyStream
from privacy.base.randomness import PublicSeed, SecretSeed

def noise(seed: SecretSeed) -> KeyStream:
    return KeyStream(seed.derive("noise"), "gaussian")

def logged(seed: PublicSeed) -> str:
    return seed.derive("round/1").hex()
"""

WRONG = {
    "a public seed drives noise": 'noise(PublicSeed(b""))',
    "a derived public seed drives noise": 'noise(PublicSeed(b"").derive("noise"))',
    "a keystream is made of a public seed": 'KeyStream(PublicSeed(b""), "gaussian")',
    "a secret is derived for a purpose that no list holds": 'SecretSeed(b"").derive("nois")',
    "a purpose is put together": 'SecretSeed(b"").derive(f"noise/{1}")',
    "a keystream has a purpose of its own": 'KeyStream(SecretSeed(b""), "step")',
    "a secret seed is logged": 'logged(SecretSeed(b""))',
    "a secret seed is written as hexadecimal digits": 'SecretSeed(b"").hex()',
    "a secret seed's bytes are read": 'SecretSeed(b"").value',
    "a secret seed is exposed to nobody": 'SecretSeed(b"").expose()',
    "a secret seed is made of a public one": 'SecretSeed(PublicSeed(b""))',
    "a secret seed becomes public": 'PublicSeed(SecretSeed(b""))',
    "an attempt is rooted in a public seed": 'SecretSeed.for_attempt(PublicSeed(b""), b"", "")',
    "a secret seed drives a numpy generator": 'SecretSeed(b"").numpy_generator()',
    "a seed is subclassed": "class Both(PublicSeed): pass",
}


@pytest.fixture(scope="module")
def errors_by_line(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[str]]:
    """What mypy, as strict as the project asks, says of one file with a wrong line each."""
    folder = tmp_path_factory.mktemp("typing")
    file = folder / "snippets.py"
    file.write_text(RIGHT + "".join(f"\n{line}" for line in WRONG.values()) + "\n")
    settings = ["--strict", "--follow-imports=silent", "--no-incremental", "--cache-dir", str(folder / "cache")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("MYPYPATH", str(ROOT))
        said, trouble, _ = api.run(["--config-file", str(_only(folder)), *settings, str(file)])
    assert not trouble, trouble
    found: dict[int, list[str]] = {}
    for line in said.splitlines():
        if match := re.search(r"snippets\.py:(\d+): error: (.*)", line):
            found.setdefault(int(match[1]), []).append(match[2])
    return found


def _only(folder: Path) -> Path:
    """The project's plugin, without its list of packages: one file is checked here."""
    config = folder / "mypy.ini"
    config.write_text("[mypy]\npython_version = 3.11\nignore_missing_imports = True\n")
    return config


def test_what_is_right_is_accepted(errors_by_line: dict[int, list[str]]) -> None:
    assert not [line for line in errors_by_line if line <= RIGHT.count("\n")]


@pytest.mark.parametrize("name", WRONG)
def test_mixing_seeds_is_a_type_error(errors_by_line: dict[int, list[str]], name: str) -> None:
    line = RIGHT.count("\n") + 2 + list(WRONG).index(name)
    assert errors_by_line.get(line), f"mypy accepts that {name}"
