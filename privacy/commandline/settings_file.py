# SPDX-License-Identifier: Apache-2.0
"""A settings file: TOML in, one strict frozen pydantic model out, and back with every field explained.

Rules: an unknown key is refused with the nearest known one; a wrong value is told with the field's own description and
never echoed; all mistakes of a file come in one error. Sites, federations and scenarios are read here.
"""

from __future__ import annotations

import difflib
import json
import math
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from privacy.base.canonical import Json, decimal_string, digest_of, is_key
from privacy.base.errors import SettingsError
from privacy.base.identifiers import Digest

M = TypeVar("M", bound=BaseModel)

NEAR: Final = 0.6
"""Least likeness (difflib's ratio) of a name that is suggested."""


def load_toml(path: Path, model: type[M]) -> M:
    """The settings in the file at `path`. Raises SettingsError that names every mistake, by dotted key."""
    try:
        text = path.read_bytes().decode("utf-8-sig")  # some editors put a mark before UTF-8
    except FileNotFoundError:
        raise SettingsError(
            f"there is no settings file {path.name}", next_step="check the name, or the folder you are in"
        ) from None
    except OSError as error:
        raise SettingsError(f"{path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path.name} is not UTF-8 text", next_step="save it as UTF-8") from None
    return parse_toml(text, model, origin=path.name)


def parse_toml(text: str, model: type[M], *, origin: str) -> M:
    """The settings in TOML `text`; `origin` names the file in errors. Raises SettingsError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{origin} is not TOML: {error}", next_step="mend that line") from None
    _refuse_foreign_values(table, origin)
    try:
        # as JSON: there strict pydantic takes an array for a tuple and a string for a path, but still no "1" for 1
        return model.model_validate_json(json.dumps(table))
    except ValidationError as error:
        # `from None`: pydantic's own text echoes the values
        lines = [_explain(detail, model) for detail in error.errors(include_url=False, include_input=False)]
    noun = "mistake" if len(lines) == 1 else "mistakes"
    raise SettingsError(
        f"{origin} has {len(lines)} {noun}:\n" + "\n".join(f"  {line}" for line in lines),
        next_step=f"mend {origin}; --print-config shows every setting with its unit and bound",
    )


def plain(model: BaseModel) -> dict[str, Json]:
    """The settings as canonical values, for the log: a float is a DecimalString, a path a string."""
    dumped = {name: _plain(getattr(model, name)) for name in type(model).model_fields}
    return dict(dumped)


def settings_digest(model: BaseModel) -> Digest:
    """The digest of `plain(model)`."""
    return digest_of(plain(model))


def render(model: BaseModel) -> str:
    """The resolved settings as TOML that reads back to the same model; each field's description stands above it.

    A setting that is not set (None) stands in a comment.
    """
    return "\n".join(_render(model, ())).strip() + "\n"


# Errors --------------------------------------------------------------------------------------------------------------


def _refuse_foreign_values(value: object, origin: str, at: str = "") -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_foreign_values(item, origin, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for item in value:
            _refuse_foreign_values(item, origin, at)
    elif isinstance(value, datetime | date | time):
        raise SettingsError(f"{origin}: {at} is a date; no setting is one", next_step="put it in quotes")
    elif isinstance(value, float) and not math.isfinite(value):
        raise SettingsError(f"{origin}: {at} must be a finite number", next_step="write a number")


def _explain(detail: ErrorDetails, model: type[BaseModel]) -> str:
    location = tuple(part for part in detail["loc"])
    dotted = ".".join(str(part) for part in location)
    if detail["type"] == "extra_forbidden":
        return f"{dotted} is {_no_setting(location[:-1], str(location[-1]), model)}"
    description = _description_at(model, location)
    what = "is missing" if detail["type"] == "missing" else _sentence(detail)
    return f"{dotted or 'the file'}: {what}" + (f" ({description})" if description else "")


def _no_setting(section: Sequence[int | str], name: str, model: type[BaseModel]) -> str:
    """What to say of `name`, which is no setting of `section`."""
    gone = _gone_at(model, section).get(name)
    if gone is not None:
        return f"no setting any more: {gone}"
    known = _names_at(model, section)
    near = _near(name, known)
    if near:
        return f"not a setting; the nearest one is {'.'.join(str(part) for part in (*section, near))}"
    return "not a setting" + (f"; there are {', '.join(known)}" if known else "")


def _near(word: str, known: Sequence[str]) -> str | None:
    """The known name that `word` may stand for: one that is much like it, or whose initials it is (lr)."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=NEAR)
    initials = [name for name in known if "".join(part[:1] for part in name.split("_")) == word]
    return near[0] if near else initials[0] if len(initials) == 1 else None


def _sentence(detail: ErrorDetails) -> str:
    if detail["type"] in ("value_error", "assertion_error"):
        return str(detail["ctx"]["error"])
    if detail["type"] in ("literal_error", "enum"):
        return f"must be one of {detail['ctx']['expected']}"
    return detail["msg"][0].lower() + detail["msg"][1:]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models that `annotation` may hold: itself, in an Optional, or as items of a map or an array."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _is_collection(annotation: object) -> bool:
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return any(get_origin(option) in (tuple, list, dict, Mapping, Sequence, frozenset, set) for option in options)


def _walk(model: type[BaseModel], location: Sequence[int | str]) -> tuple[type[BaseModel] | None, str]:
    """The model that `location` leads to (None: not a model) and the description of the last field on the way."""
    here: type[BaseModel] | None = model
    description, inside_collection = "", False
    for part in location:
        if inside_collection:
            inside_collection = False  # an index or a map's key: still the same item model
            continue
        field = here.model_fields.get(str(part)) if here is not None else None
        if field is None:
            return None, description
        description = field.description or description
        inside_collection = _is_collection(field.annotation)
        here = next(_models_in(field.annotation), None)
    return here, description


def _names_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    here, _ = _walk(model, location)
    return list(here.model_fields) if here is not None else []


def _gone_at(model: type[BaseModel], location: Sequence[int | str]) -> Mapping[str, str]:
    """What a section says of its former settings, by name: its GONE."""
    here, _ = _walk(model, location)
    return getattr(here, "GONE", {})


def _description_at(model: type[BaseModel], location: Sequence[int | str]) -> str:
    return _walk(model, location)[1]


# Writing -------------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> Json:
    plainly: Json = _by_type(value, _PLAIN)
    return plainly


def _plain_map(entries: Mapping[Any, Any]) -> Json:
    """A signed body has no such keys as PERSON: a map with any is a list of pairs."""
    plainly = {str(key): _plain(item) for key, item in entries.items()}
    return plainly if all(map(is_key, plainly)) else [[key, plainly[key]] for key in sorted(plainly)]


def _by_type(value: Any, forms: _Forms) -> Any:
    """`value` in the form of the first type that it has. Raises SettingsError if it has none of them."""
    for types, form in forms:
        if isinstance(value, types):
            return form(value)
    raise SettingsError(f"a setting of type {type(value).__name__} has no place in a settings file")


_Forms = tuple[tuple[type | UnionType, Callable[[Any], Any]], ...]

_PLAIN: Final[_Forms] = (
    (BaseModel, plain),
    (Enum, lambda member: _plain(member.value)),
    (Path, Path.as_posix),
    (float, decimal_string),
    (Mapping, _plain_map),
    (set | frozenset, lambda items: sorted(map(_plain, items), key=str)),
    (tuple | list, lambda items: [*map(_plain, items)]),
    (None | bool | int | str, lambda scalar: scalar),
)


def _is_table(value: object) -> bool:
    return isinstance(value, BaseModel | Mapping)


def _is_array_of_tables(value: object) -> bool:
    return isinstance(value, tuple | list) and bool(value) and all(_is_table(item) for item in value)


def _render(value: BaseModel | Mapping[str, Any], at: tuple[str, ...]) -> Iterator[str]:
    """Scalars first, then tables: in TOML a key after a table's header would belong to that table."""
    items = _items(value)
    for name, item, comment in items:
        if not _is_table(item) and not _is_array_of_tables(item):
            yield from comment
            yield f"# {_key(name)} is not set" if item is None else f"{_key(name)} = {_inline(item)}"
    for name, item, comment in items:
        path = (*at, name)
        header = ".".join(map(_key, path))
        if _is_table(item):
            yield from ("", *comment, f"[{header}]", *_render(item, path))
        elif _is_array_of_tables(item):
            for row in item:
                yield from ("", *comment, f"[[{header}]]", *_render(row, path))


def _items(table: BaseModel | Mapping[str, Any]) -> list[tuple[str, Any, list[str]]]:
    """Each setting's name and value, and the comment that stands above it."""
    if isinstance(table, BaseModel):
        fields = type(table).model_fields
        return [(name, getattr(table, name), _comment(field.description)) for name, field in fields.items()]
    return [(name, item, []) for name, item in table.items()]


def _comment(description: str | None) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(description or "", 110)]


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else _string(name)


def _string(text: str) -> str:
    # JSON's string is TOML's basic string, but for DEL, which TOML wants escaped
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _inline(value: object) -> str:
    return str(_by_type(value, _INLINE))


def _inline_map(entries: Mapping[Any, Any]) -> str:
    return f"{{{', '.join(f'{_key(str(key))} = {_inline(item)}' for key, item in entries.items())}}}"


_INLINE: Final[_Forms] = (
    (Enum, lambda member: _inline(member.value)),
    (bool, lambda flag: "true" if flag else "false"),
    (int | float, repr),
    (str, _string),
    (Path, lambda path: _string(path.as_posix())),
    (set | frozenset, lambda items: f"[{', '.join(sorted(map(_inline, items)))}]"),
    (tuple | list, lambda items: f"[{', '.join(map(_inline, items))}]"),
    (Mapping, _inline_map),
)
