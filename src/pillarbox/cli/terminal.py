"""What people see: calm, aligned, 80 columns, without colours in a pipe."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import IO, Any, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pillarbox.client.answers import Relay

_PIPE_WIDTH = 80
_BESIDE = 10  # columns of the names beside facts
_OPTION = re.compile(r" (?=--)")
MARKS = {"ok": "✓", "warn": "!", "fail": "✗", "skip": "·"}
_STYLES = {
    "ok": "green",
    "relayed": "green",
    "working": "green",
    "warn": "yellow",
    "deferred": "yellow",
    "uncertain": "yellow",
    "held": "yellow",
    "resting": "yellow",
    "slowed": "yellow",
    "fail": "bold red",
    "failed": "bold red",
    "expired": "bold red",
    "suspended": "bold red",
    "not working": "bold red",
    "skip": "dim",
    "cancelled": "dim",
    "untested": "dim",
}


class Page(Console):
    """A console that leaves it to main.py what a closed pipe means."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console() -> Console:
    """Standard output. Nothing that is printed is taken for markup."""
    if sys.stdout.isatty():
        return Page(highlight=False, markup=False, emoji=False)
    piped = cast("IO[str]", Trimmed(sys.stdout))
    return Page(file=piped, width=_PIPE_WIDTH, highlight=False, markup=False, emoji=False)


class Trimmed:
    """A file to which lines are written without the blanks that fill up columns."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        lines = text.split("\n")
        return self._file.write("\n".join([*(each.rstrip() for each in lines[:-1]), lines[-1]]))

    def flush(self) -> None:
        self._file.flush()


def word(state: str, text: str | None = None) -> Text:
    """A state in its colour."""
    return Text(text or state, _STYLES.get(state, ""))


def mark(status: str) -> Text:
    return word(status, MARKS.get(status, "·"))


def facts(rows: Iterable[tuple[str, Any]]) -> Table:
    """Names and values, aligned; what is missing is left out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        if value not in (None, "", ()):
            table.add_row(f"  {name}", value if isinstance(value, Text) else plain(str(value)))
    return table


def typed(command: str, out: Console) -> Text:
    """Something to type, broken before options only, as a shell takes it when it is copied."""
    room = out.width - _BESIDE
    lines: list[str] = []
    for part in _OPTION.split(plain(command)):
        if lines and len(lines[-1]) + len(part) + 3 <= room:
            lines[-1] += f" {part}"
        else:
            lines.append(part)
    return Text(" \\\n".join([lines[0], *(f"  {each}" for each in lines[1:])]))


def listing(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A list with a line of titles. The first column is never broken."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for number, title in enumerate(titles):
        is_last = number == len(titles) - 1
        table.add_column(title, no_wrap=not is_last, overflow="ellipsis" if not is_last else "fold")
    for row in rows:
        table.add_row(*(each if isinstance(each, Text) else plain(str(each or "")) for each in row))
    return table


def plain(text: str) -> str:
    """Text from outside cannot move the cursor or change colours."""
    return "".join(
        character if character == "\n" or unicodedata.category(character)[0] != "C" else "�"
        for character in text
    )


def local(moment: datetime | None) -> str:
    """In the time zone of whoever looks, to the second."""
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone().strftime("%H:%M:%S")


def rest_of(relay: Relay) -> str:
    """` resting, tried again at 16:30:00`, or nothing for a relay that does not rest."""
    state, until = relay.status.get("state"), relay.status.get("until")
    if not until:
        return ""
    return f" {state}, tried again at {clock(datetime.fromisoformat(until))}"
