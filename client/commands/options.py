# SPDX-License-Identifier: Apache-2.0
"""The options of a command as one frozen value, for a command that has more of them than a function has arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from inspect import Parameter, Signature
from typing import Any, TypeVar, get_type_hints

import typer

Options = TypeVar("Options")


def takes(
    options: type[Options],
) -> Callable[[Callable[[typer.Context, Options], None]], Callable[..., None]]:
    """Make a command for Typer out of one that takes `options`, a dataclass: each of its fields is an option.

    A field is annotated as Typer's parameter would be; its default is the option's, and without one the option is
    required. Name and help are the command's.
    """
    hints = get_type_hints(options, include_extras=True)
    parameters = [Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    for field in fields(options):  # type: ignore[arg-type]
        default = Parameter.empty if field.default is MISSING else field.default
        parameters.append(Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name]))

    def of(command: Callable[[typer.Context, Options], None]) -> Callable[..., None]:
        def run(context: typer.Context, **given: Any) -> None:
            command(context, options(**given))

        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        run.__annotations__ = {"context": typer.Context} | hints
        run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        return run

    return of
