"""Tables and code in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Rows = Iterable[Sequence[object]]


def table(heading: Sequence[str], rows: Rows) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)


def cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def code(value: object) -> str:
    return f"`{value}`"
