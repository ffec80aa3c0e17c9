# SPDX-License-Identifier: Apache-2.0
"""Local HTML pages: one file each, without scripts, without anything fetched, for eyes in light and in dark.

Rules: a page is a tree of elements that is escaped when it is written, never text glued together; a strict content
security policy allows its one style sheet, by digest, and nothing else; colours keep a contrast of 4.5 or more in both
schemes, and no meaning hangs on a colour alone.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from importlib import resources
from xml.etree.ElementTree import Element, tostring

__all__ = ["Child", "Element", "bars", "element", "facts", "page", "style_sheet", "styled"]

Child = Element | str | None


def element(tag: str, *children: Child, attributes: Mapping[str, str] | None = None) -> Element:
    """An element with text and elements in it, in order; what is None is left out."""
    made = Element(tag, dict(attributes or {}))
    for child in children:
        if isinstance(child, str):
            _append_text(made, child)
        elif child is not None:
            made.append(child)
    return made


def styled(tag: str, style: str, *children: Child) -> Element:
    """An element with the class `style`."""
    return element(tag, *children, attributes={"class": style})


def _append_text(parent: Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def page(title: str, body: Iterable[Child]) -> bytes:
    """A whole page, as UTF-8."""
    sheet = style_sheet()
    digest = base64.b64encode(sha256(sheet.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", attributes={"charset": "utf-8"}),
        element("meta", attributes={"http-equiv": "Content-Security-Policy", "content": policy}),
        element("meta", attributes={"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", attributes={"name": "referrer", "content": "no-referrer"}),
        element("meta", attributes={"name": "robots", "content": "noindex"}),
        element("title", title),
        element("style", sheet),
    )
    whole = element("html", head, element("body", styled("main", "page", *body)), attributes={"lang": "en"})
    return b"<!DOCTYPE html>\n" + tostring(whole, encoding="unicode", method="html").encode("utf-8") + b"\n"


@cache
def style_sheet() -> str:
    """The one style sheet of all pages."""
    return (resources.files("privacy.pages") / "pages.css").read_text(encoding="utf-8")


def facts(pairs: Mapping[str, str]) -> Element:
    """Names and values, as a list of definitions."""
    made = styled("dl", "facts")
    for name, value in pairs.items():
        made.append(element("div", element("dt", name), element("dd", value)))
    return made


def bars(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, str, tuple[int, ...]]]) -> Element:
    """A table with a bar in each row. A row is (name, style of its bar, counts); the bar shows the first count."""
    held = list(rows)
    longest = max((counts[0] for _, _, counts in held), default=0)
    head = element("tr", *(element("th", column, attributes={"scope": "col"}) for column in columns))
    head[0].set("class", "name")
    head.insert(1, element("th", attributes={"class": "bar", "aria-hidden": "true"}))
    body = element("tbody")
    for name, style, counts in held:
        cells = [styled("td", "count", f"{count:,}") for count in counts]
        bar = element("td", _bar(style, counts[0] / longest if longest else 0), attributes={"aria-hidden": "true"})
        bar.set("class", "bar")
        body.append(element("tr", element("th", name, attributes={"scope": "row", "class": "name"}), bar, *cells))
    return styled("table", "bars", element("caption", title), element("thead", head), body)


def _bar(style: str, share: float) -> Element:
    """A bar as SVG: its width is an attribute, which needs no style that the policy would forbid."""
    width = f"{max(share * 100, 0.8):.1f}"
    filled = element("rect", attributes={"class": f"fill {style}", "width": width, "height": "10", "rx": "1.5"})
    return element("svg", filled, attributes={"viewBox": "0 0 100 10", "preserveAspectRatio": "none"})
