"""
HTML as text that a person can read: links shown, lists and tables in order, nothing hidden.

Made when a message has HTML and no text. It is bounded, because HTML comes from callers: only
the beginning of a very long page is read.
"""

from __future__ import annotations

import re

from pillarbox.mail.markup import End, Start, Text, attributes_of, tokens

MAX_HTML = 200_000  # characters read
MAX_TEXT = 100_000  # characters written

_CUT = "[…]"
_MAX_LIST_DEPTH = 8
_SKIPPED = frozenset({"head", "template", "svg", "object", "select"})
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "wbr"}
)
_PARAGRAPHS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "dl", "blockquote", "pre", "hr"}
)
_LINES = frozenset(
    {"div", "tr", "li", "dt", "dd", "section", "article", "header", "footer", "address", "main"}
    | {"aside", "nav", "figure", "figcaption", "form", "fieldset", "caption", "center", "body"}
)
_BLANKS = re.compile(r"[ \t\r\n\f\xa0]+")
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u00ad\u034f\u200b\ufeff\ud800-\udfff]")
_HIDDEN = re.compile(r"\bdisplay\s*:\s*none", re.IGNORECASE)
_SHOWN_LINK = re.compile(r"(?:https?://|mailto:|tel:)\S+", re.IGNORECASE)


def readable(html: str) -> str:
    """The text of a page, or an empty string when there is nothing to read. Never raises."""
    reader = _Reader()
    for token in tokens(html[:MAX_HTML]):
        reader.read(token)
        if reader.size > MAX_TEXT:
            break
    text = reader.text()
    if len(html) > MAX_HTML or len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT].rstrip()}\n\n{_CUT}"
    return text


class _Reader:
    """Collects text while it keeps track of what a browser would do with blanks and lines."""

    def __init__(self) -> None:
        self.size = 0  # characters written so far
        self._out: list[str] = []
        self._breaks = 0  # line ends owed before the next text
        self._blank = False  # a blank owed before the next text
        self._cell = False  # a cell border owed before the next text
        self._hidden = ""  # the element that is not shown, and how deep it stands in itself
        self._depth = 0
        self._lists: list[int | None] = []  # the next number, or None for a bullet
        self._link: tuple[str, int] | None = None  # where it leads, and where its text begins
        self._pre = 0

    def text(self) -> str:
        lines = "".join(self._out).split("\n")
        return "\n".join(line.rstrip() for line in lines).strip("\n")

    def read(self, token: Start | End | Text) -> None:
        match token:
            case Start() if not self._is_hidden(token):
                self._start(token)
            case End(name) if self._depth:
                self._depth -= name == self._hidden
            case End(name):
                self._end(name)
            case Text(text) if not self._depth:
                self._text(_INVISIBLE.sub("", text))

    def _is_hidden(self, start: Start) -> bool:
        if start.name == "body":
            self._depth = 0  # a head that was never closed ends here
        if self._depth:
            self._depth += start.name == self._hidden
            return True
        if start.name in _VOID:
            return False
        if start.name in _SKIPPED or _HIDDEN.search(start.attributes):
            self._hidden, self._depth = start.name, 1
        return self._depth > 0

    def _start(self, start: Start) -> None:
        self._break_for(start.name)
        match start.name:
            case "td" | "th" | "tr":
                self._cell = start.name != "tr"
            case "pre":
                self._pre += 1
            case "ul" | "ol" | "li":
                self._begin_list_part(start.name)
            case "br":
                self._breaks += 1
            case "hr":
                self._write("-" * 40)
                self._break(2)
            case "img" | "a":
                self._begin_link_or_image(start)

    def _end(self, name: str) -> None:
        match name:
            case "a":
                self._end_link()
            case "pre":
                self._pre = max(0, self._pre - 1)
            case "ul" | "ol" if self._lists:
                self._lists.pop()
        self._break_for(name)

    def _text(self, text: str) -> None:
        if self._pre:
            self._lines(text)
        else:
            self._words(text)

    def _break_for(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self._break(1 if self._lists else 2)
        elif tag in _LINES:
            self._break(1)

    def _break(self, lines: int) -> None:
        self._breaks = max(self._breaks, lines)

    def _begin_link_or_image(self, start: Start) -> None:
        attributes = attributes_of(start)
        if start.name == "img":
            self._words(attributes.get("alt", ""))
        else:
            self._end_link()  # links do not nest
            self._link = attributes.get("href", ""), len(self._out)

    def _begin_list_part(self, tag: str) -> None:
        if tag != "li":
            self._lists.append(1 if tag == "ol" else None)
            return
        number = self._lists[-1] if self._lists else None
        if number is not None:
            self._lists[-1] = number + 1
        depth = min(len(self._lists), _MAX_LIST_DEPTH)
        self._write("  " * max(0, depth - 1) + (f"{number}. " if number is not None else "- "))

    def _end_link(self) -> None:
        if self._link is None:
            return
        href, begin = self._link
        self._link = None
        shown = "".join(self._out[begin:]).strip()
        if _SHOWN_LINK.fullmatch(href) and href.partition(":")[2].strip("/") not in shown:
            self._words(f" <{href}>" if shown else href)

    def _lines(self, text: str) -> None:
        first, *rest = text.split("\n")
        self._write(first)
        for line in rest:
            self._breaks += 1
            self._write(line)

    def _words(self, text: str) -> None:
        collapsed = _BLANKS.sub(" ", text)
        if collapsed.startswith(" "):
            self._blank = True
        if words := collapsed.strip(" "):
            self._write(words)
        if words and collapsed.endswith(" "):
            self._blank = True

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._breaks:
            self._out.append("\n" * min(self._breaks, 2) if self._out else "")
        elif self._cell and self._out:
            self._out.append(" | ")
        elif self._blank and self._out:
            self._out.append(" ")
        self._out.append(text)
        self.size += len(text)
        self._breaks, self._blank, self._cell = 0, False, False
