"""Relays for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from pillarbox.cli.advice import advice_on, command_for
from pillarbox.cli.terminal import facts, plain, rest_of, word
from pillarbox.client.answers import Page, Relay
from pillarbox.relays.relay import FIELD_NAMES, RelaySettings

_TITLES = ("  Relay", "Status", "Where", "From")
_SHOWN_ALREADY = frozenset(
    {"id", "name", "version", "default", "status", "kind", "preset", "host", "port", "tls"}
    | {"auth", "username", "password", "from", "reply_to", "changed_at", "inherits", "origins"}
    | {"consent"}  # said below, where there is one
)


def show_list(page: Page[Relay], out: Console) -> None:
    """All relays, the default one marked. A name is never cut, and no line folded in a pipe."""
    rows = [
        (
            f"{'*' if each.default else ' '} {plain(each.name)}",
            str(each.status.get("state", "")),
            place(each),
            plain(each.from_ or ""),
        )
        for each in page
    ]
    widths = [max(map(len, column)) for column in zip(_TITLES, *rows, strict=True)]
    if out.is_terminal and sum(widths) + 2 * len(widths) - 2 > out.width:
        _say_each_on_two_lines(rows, out)
    else:
        out.print(Text(_aligned(_TITLES, widths), "dim"), soft_wrap=True)
        for row in rows:
            line = Text(_aligned(row, widths))
            line.stylize(word(row[1]).style, widths[0] + 2, widths[0] + 2 + len(row[1]))
            out.print(line, soft_wrap=True)
    if any(each.default for each in page):
        out.print("\n* the default")


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _say_each_on_two_lines(rows: Sequence[tuple[str, str, str, str]], out: Console) -> None:
    for name, state, where, sender in rows:
        out.print(Text.assemble(name, "  ", word(state)))
        out.print(Text(f"    {where}{sender and f', {sender}'}", "dim"))


def place(relay: Relay) -> str:
    """Where its mail goes, in one line."""
    if relay.kind != "smtp":
        return "keeps mail here to look at" if relay.kind == "sandbox" else relay.kind
    return f"{relay.host}:{relay.port} {relay.tls}"


def show(relay: Relay, out: Console) -> None:
    """One relay, with everything that differs from what a relay usually has."""
    state = str(relay.status.get("state", ""))
    out.print(Text.assemble(relay.name, "  ", word(state, rest_of(relay).strip() or state)))
    out.print(facts(_rows(relay)))
    if state in ("suspended", "resting", "slowed", "not working"):
        out.print()
        _show_trouble(relay, out)
    elif state == "untested":
        out.print(f"\nTry it: pillarbox diagnose {relay.name}")


def _rows(relay: Relay) -> Iterator[tuple[str, Any]]:
    yield "Id", relay.id
    yield "Where", place(relay)
    yield "Preset", relay.preset
    yield "Inherits from", relay.json.get("inherits")
    yield "Its own", _own(relay)
    if relay.kind == "smtp":
        yield "Sign in", _login(relay)
    yield "From", relay.from_
    yield "Reply-To", relay.reply_to
    yield "Default", "yes" if relay.default else ""
    yield "Version", relay.version
    for name, value in sorted(relay.json.items()):
        if name not in _SHOWN_ALREADY and value != _usual(name):
            yield name, _setting(value)


def _own(relay: Relay) -> str:
    """The fields of an heir that do not come from the other relay."""
    origins = relay.json.get("origins") or {}
    heir = relay.json.get("inherits")
    return ", ".join(name for name, origin in origins.items() if heir and origin == "own")


def _usual(name: str) -> Any:
    """What this field is for a relay about which nothing is said."""
    return RelaySettings().shown(name) if name in FIELD_NAMES else None


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        if "set" in value:
            return "stored" if value["set"] else ""
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    text = str(value)
    return f"{text.splitlines()[0]} …" if "\n" in text else text


def _login(relay: Relay) -> str:
    if relay.auth in (None, "none"):
        return "no"
    if relay.auth == "oauth2":
        return f"{relay.username}, with OAuth 2.0"
    password = relay.json.get("password")
    is_set = bool(password.get("set")) if isinstance(password, Mapping) else False
    return f"{relay.username}, password {'stored' if is_set else 'missing'}"


def _show_trouble(relay: Relay, out: Console) -> None:
    found = advice_on(relay.status.get("advice"), relay.json)
    rows = (
        ("Cause", relay.status.get("cause") or "The last diagnosis failed."),
        ("Do", found.fix if found else ""),
        ("Type", command_for(relay.status.get("advice"), relay.name)),
    )
    out.print(facts(rows))
    out.print(f"\nStep by step: pillarbox diagnose {relay.name}")
