"""What a relay was, for people: newest first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from pillarbox.cli.terminal import local, plain
from pillarbox.client.answers import Page, RelayVersion

_LONGEST = 60  # characters of a value


def show_history(page: Page[RelayVersion], out: Console) -> None:
    """Each version with who and when, and below it what changed."""
    for number, each in enumerate(page):
        if number:
            out.print()
        out.print(Text.assemble((f"{each.version}", "bold"), "  ", _head(each)))
        for line in _changes(each):
            out.print(Text(f"   {line}"), soft_wrap=True)


def _head(each: RelayVersion) -> str:
    undo = f"  undid version {each.undoes}" if each.undoes else ""
    return f"{local(each.changed_at)}  {plain(each.principal)}{undo}" + (
        "  (current)" if each.current else ""
    )


def _changes(each: RelayVersion) -> Iterator[str]:
    for change in each.differences:
        yield f"{change['field']}: {_value(change['before'])} → {_value(change['after'])}"
    for slot, what in each.secrets.items():
        yield f"{slot}: {what}"
    if each.version == 1 and not each.differences:
        yield "added"


def _value(value: Any) -> str:
    if value is None:
        return "–"
    text = plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
