# SPDX-License-Identifier: Apache-2.0
"""What of the code is long, takes many arguments, branches much, names two types alike or a local by what was done.

How many words the docs have, too.

Lengths and arguments from the syntax tree (`self` and `cls` do not count), cyclomatic complexity as radon counts it
(McCabe's, with boolean operators and comprehensions; a function within a function counts with the outer one).
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from radon.complexity import cc_visit_ast
from radon.visitors import Function

from simulations.benchmarks.floor_plan import PACKAGES

LONG, MANY_ARGUMENTS, COMPLEX, TOO_COMPLEX = 40, 6, 10, 15
VAGUE = frozenset(("found", "asked", "kept", "seen", "said", "told", "left", "most"))
"""Names that tell what was done to a value, where the noun would tell what it is. `left` beside `right` is a noun."""
GENERATED = re.compile(r"<!-- ([\w-]+):\w+ -->.*?<!-- \1:end -->", re.DOTALL)
"""A table that a command writes, between its markers (see simulations/benchmarks/figures)."""


@dataclass(frozen=True)
class CodeSize:
    """Places as `file:line function`, each with its figure; `doubled`: a type's name, and the files that define
    one; `vague`: functions with locals of such names."""

    functions: int
    long: Mapping[str, int]
    many_arguments: Mapping[str, int]
    complex: Mapping[str, int]
    doubled: Mapping[str, tuple[str, ...]]
    vague: Mapping[str, int]

    @property
    def too_complex(self) -> dict[str, int]:
        return {place: figure for place, figure in self.complex.items() if figure > TOO_COMPLEX}


def code_size(root: Path) -> CodeSize:
    """What there is in the packages of the tree at `root`."""
    functions = 0
    long: dict[str, int] = {}
    many: dict[str, int] = {}
    vague: dict[str, int] = {}
    complexities: dict[str, int] = {}
    types: dict[str, list[str]] = defaultdict(list)
    for path in _sources(root):
        file, tree = str(path.relative_to(root)), ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                functions += 1
                place = f"{file}:{node.lineno} {node.name}"
                long[place] = (node.end_lineno or node.lineno) - node.lineno + 1
                many[place] = _arguments(node)
                vague[place] = len(_locals(node) & VAGUE)
        for block in cc_visit_ast(tree):
            if isinstance(block, Function):
                complexities[f"{file}:{block.lineno} {block.fullname}"] = block.complexity
        for name in _types(tree):
            types[name].append(file)
    doubled = {name: tuple(files) for name, files in sorted(types.items()) if len(files) > 1}
    over = (_over(long, LONG), _over(many, MANY_ARGUMENTS), _over(complexities, COMPLEX))
    return CodeSize(functions, *over, doubled, _over(vague, 0))


def docs_words(root: Path) -> tuple[int, int]:
    """Words of the pages under docs/ that people wrote, and of the tables in them that a command writes."""
    written = generated = 0
    for path in sorted((root / "docs").rglob("*.md")):
        text = path.read_text()
        tables = " ".join(match.group(0) for match in GENERATED.finditer(text))
        generated += _words(tables)
        written += _words(text) - _words(tables)
    return written, generated


def _words(text: str) -> int:
    return sum(any(map(str.isalnum, word)) for word in text.split())


def _sources(root: Path) -> Iterator[Path]:
    for package in (*PACKAGES, "benchmarks"):
        yield from sorted((root / package).rglob("*.py"))


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    named = [*node.args.posonlyargs, *node.args.args]
    bound = bool(named) and named[0].arg in ("self", "cls")
    return len(named) + len(node.args.kwonlyargs) - bound


def _locals(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The names that a function gives to its parameters and its locals, those of functions within it too."""
    inside = list(ast.walk(node))
    stored = {one.id for one in inside if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    names = stored | {one.arg for one in inside if isinstance(one, ast.arg)}
    return names - {"left"} if "right" in names else names


def _types(tree: ast.Module) -> Iterator[str]:
    """The classes of a module, and its names that are written like a class: aliases of types."""
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=[ast.Name(id=name), *_]) | ast.AnnAssign(target=ast.Name(id=name)):
                if name[0].isupper() and not name.isupper() and "_" not in name:
                    yield name


def _over(figures: Mapping[str, int], bound: int) -> dict[str, int]:
    """Those over the bound, the greatest first."""
    return dict(sorted(((place, n) for place, n in figures.items() if n > bound), key=lambda pair: (-pair[1], pair[0])))
