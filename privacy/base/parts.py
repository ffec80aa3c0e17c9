# SPDX-License-Identifier: Apache-2.0
"""A part (task, engine, aggregation rule, clipping method) is found by the name of its file: no table, no decorator."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from privacy.base.errors import SettingsError


def names(package: str) -> list[str]:
    """The parts of `package`: its files that do not start with an underscore, sorted."""
    room = importlib.import_module(package)
    return sorted(info.name for info in pkgutil.iter_modules(room.__path__) if not info.name.startswith("_"))


def load(package: str, name: str) -> ModuleType:
    """The part's module. Raises SettingsError with the choices when there is no such file; imports nothing else."""
    choices = names(package)
    if name not in choices:
        raise SettingsError(f"there is no '{name}' in {package}", next_step=f"choose one of: {', '.join(choices)}")
    return importlib.import_module(f"{package}.{name}")
