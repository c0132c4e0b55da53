"""Lists of addresses and domains: who may send by a relay, who may get its mail."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from pillarbox.base.errors import Invalid
from pillarbox.base.json_type import type_name
from pillarbox.mail.address import Address

MAX_ENTRIES = 200


def covers(entries: Collection[str], address: Address) -> bool:
    """
    Whether an address is in the list: itself, its domain, or below a `*.domain`.

    Local parts are compared as they are written, but for their case: few servers tell
    Ann from ann, and a list that does would let nobody through by mistake.
    """
    domain = address.domain.lower()
    written = str(address).lower()
    return any(
        each in (written, domain) or (each.startswith("*.") and domain.endswith(each[1:]))
        for each in (entry.lower() for entry in entries)
    )


def read_addresses(raw: object) -> tuple[str, ...]:
    """Addresses: a list, or a text with commas between them. Raises Invalid."""
    return _each(raw, lambda text: str(Address.parse(text)))


def read_places(raw: object) -> tuple[str, ...]:
    """Addresses and domains: `ann@example.org`, `example.org`, `*.example.org`."""
    return _each(raw, _place)


def read_address(raw: object) -> str:
    """One address, bare. Raises Invalid."""
    if not isinstance(raw, str):
        raise Invalid(f"this is a text, not {type_name(raw)}")
    return str(Address.parse(raw.strip()))


def _place(text: str) -> str:
    if "@" in text.lstrip("@"):
        return str(Address.parse(text))
    domain = text.removeprefix("@")
    below = "*." if domain.startswith("*.") else ""
    try:
        return below + Address.parse(f"x@{domain.removeprefix('*.')}").domain
    except Invalid:
        raise Invalid(f"“{text}” is neither an address nor a domain") from None


def _each(raw: object, read: Callable[[str], str]) -> tuple[str, ...]:
    items: Any = re.split(r"[,;\n]", raw) if isinstance(raw, str) else raw
    if not isinstance(items, list | tuple):
        raise Invalid(f"this is a list, not {type_name(raw)}")
    if len(items) > MAX_ENTRIES:
        raise Invalid(f"this list has {len(items):,} entries; at most {MAX_ENTRIES} are taken")
    found = []
    for number, item in enumerate(items):
        if not isinstance(item, str):
            raise Invalid(f"this is a text, not {type_name(item)}", field=str(number))
        if item.strip():
            found.append(_one(item.strip(), read, number))
    return tuple(dict.fromkeys(found))


def _one(text: str, read: Callable[[str], str], number: int) -> str:
    try:
        return read(text)
    except Invalid as fault:
        raise Invalid(str(fault), field=str(number)) from None
