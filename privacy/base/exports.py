# SPDX-License-Identifier: Apache-2.0
"""Public names of a package, imported when they are first asked for (PEP 562): `import client` costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def exported(package: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of `package`, for the public names that `modules` says the modules of.

    It raises AttributeError for another name, as any module does.
    """

    def find(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(modules[name]), name)

    return find
