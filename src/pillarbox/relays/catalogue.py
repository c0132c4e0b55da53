"""The entries of replies.toml by group, in the order of the file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

Entry = Mapping[str, Any]


def group(name: str) -> tuple[Entry, ...]:
    """The entries of a group: `reply`, `token`, `no_token`, `loss`, `lack` or `fallback`."""
    return _groups()[name]


def entries() -> Iterator[Entry]:
    """Every entry, for the reference, for advice by id and for tests."""
    for each in _groups().values():
        yield from each


def entry_of(advice: str) -> Entry:
    """The entry with this id. Raises LookupError."""
    found = next((each for each in entries() if each["id"] == advice), None)
    if found is None:
        raise LookupError(f"replies.toml has no {advice}")
    return found


@cache
def pattern(text: str) -> re.Pattern[str]:
    """A sentence of the catalogue, in any case."""
    return re.compile(text, re.IGNORECASE)


@cache
def _groups() -> Mapping[str, tuple[Entry, ...]]:
    text = resources.files("pillarbox.relays").joinpath("replies.toml").read_text("utf-8")
    return {name: tuple(entries) for name, entries in tomllib.loads(text).items()}
