"""
HTML as a flat run of tags and text, in one pass.

The standard library's parser is not used: on Python 3.11 it needs minutes for some 200 KB
pages that are made to hurt, and this runs where mail is accepted. Here every step moves
forward, and what a browser would never finish reading ends the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple

# Possessive quantifiers (Python 3.11) keep each of these linear.
_MARK = re.compile(r"<(?=[A-Za-z/!?])")
_TAG = re.compile(
    r"""<(?P<end>/?)(?P<name>[A-Za-z][^\s/>]*+)"""
    r"""(?P<attributes>(?:[^>=]|=\s*+(?:"[^"]*+"|'[^']*+')?)*+)>"""
)
_ATTRIBUTE = re.compile(
    r"""(?P<name>[^\s=/>"']++)"""
    r"""(?:\s*+=\s*+(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|(?P<bare>[^\s>]++)))?"""
)
_HUGE_REFERENCE = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9A-Fa-f]{8,});?")
_RAW = {  # their text is not markup, HTML §13.2.6.2
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "title", "textarea", "iframe", "xmp", "noembed", "noframes")
}


class Start(NamedTuple):
    """A start tag; `attributes` is as written, see `attributes_of`."""

    name: str
    attributes: str


class End(NamedTuple):
    """An end tag."""

    name: str


class Text(NamedTuple):
    """Text between tags, its character references resolved."""

    text: str


def tokens(html: str) -> Iterator[Start | End | Text]:
    """Comments, declarations and the text of script-like elements are left out."""
    position = 0
    while (mark := _MARK.search(html, position)) is not None:
        if mark.start() > position:
            yield Text(_resolved(html[position : mark.start()]))
        tag = _TAG.match(html, mark.start())
        if tag is None:
            position = _after_comment(html, mark.start())
            continue
        position = tag.end()
        name = tag["name"].lower()
        if tag["end"]:
            yield End(name)
        elif name in _RAW:
            end = _RAW[name].search(html, position)
            position = end.start() if end else len(html)
        else:
            yield Start(name, tag["attributes"])
    if position < len(html):
        yield Text(_resolved(html[position:]))


def attributes_of(start: Start) -> dict[str, str]:
    """Names in lower case; of two with the same name the first counts."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(start.attributes):
        value = match["double"] or match["single"] or match["bare"] or ""
        found.setdefault(match["name"].lower(), _resolved(value))
    return found


def _after_comment(html: str, start: int) -> int:
    """Where it goes on after something that is no tag. An unfinished tag takes all that is left."""
    if html.startswith("<!--", start):
        end = html.find("-->", start + 2)
        return end + 3 if end >= 0 else len(html)
    if html.startswith(("<!", "<?", "</"), start):
        end = html.find(">", start)
        return end + 1 if end >= 0 else len(html)
    return len(html)


def _resolved(text: str) -> str:
    if "&" not in text:
        return text
    return unescape(_HUGE_REFERENCE.sub("\ufffd", text))
