"""`pillarbox route`: which relay carries which mail, and who stands in for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pillarbox.cli.exits import Usage
from pillarbox.cli.options import NOTHING, Everywhere, ask, group, print_json

if TYPE_CHECKING:
    from pillarbox.client.answers import RouteList
    from pillarbox.client.client import Pillarbox

app = group("route", "Routes: which relay carries which mail, and who stands in for it.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What mail a rule is for. Without any: all mail."""

    stream: str | None = None
    """transactional, code or bulk."""

    sender_domain: Annotated[str | None, Parameter(metavar="DOMAIN")] = None
    """Mail from this domain."""

    recipient_domain: Annotated[str | None, Parameter(metavar="DOMAIN")] = None
    """Mail to this domain."""

    relay: str | None = None
    """Mail that would go by this relay."""

    def when(self) -> dict[str, str]:
        said = {
            "stream": self.stream,
            "sender_domain": self.sender_domain,
            "recipient_domain": self.recipient_domain,
            "relay": self.relay,
        }
        return {name: value for name, value in said.items() if value is not None}


ALL_MAIL = Conditions()


@app.command(name="list")
def list_(*, everywhere: Everywhere = NOTHING) -> None:
    """List the rules. The first that fits counts."""
    _show(ask(everywhere, lambda box: box.routes.get()), everywhere)


@app.command(name="set")
def set_(
    *relays: Annotated[str, Parameter(name="RELAY")],
    conditions: Conditions = ALL_MAIL,
    everywhere: Everywhere = NOTHING,
) -> None:
    """Say who carries such mail, then who stands in for it. No relay: forget the rule.

    A new rule is read before rules with fewer conditions.
    """

    async def change(box: Pillarbox) -> RouteList:
        before = await box.routes.get()
        rules = _with_rule(before.rules, conditions.when(), relays)
        return await box.routes.set(rules, version=before.version)

    _show(ask(everywhere, change), everywhere)


def _with_rule(
    rules: tuple[Mapping[str, Any], ...], when: dict[str, str], relays: tuple[str, ...]
) -> list[Mapping[str, Any]]:
    """The rule in the place of the one with these conditions, or before the more general ones."""
    known = [dict(each["when"]) for each in rules]
    if not relays and when not in known:
        raise Usage("there is no rule with these conditions. Look: pillarbox route list")
    rule = [{"when": when, "relays": list(relays)}] if relays else []
    if when in known:
        at = known.index(when)
        return [*rules[:at], *rule, *rules[at + 1 :]]
    at = next((n for n, each in enumerate(known) if len(each) < len(when)), len(known))
    return [*rules[:at], *rule, *rules[at:]]


def _show(routes: RouteList, everywhere: Everywhere) -> None:
    if everywhere.json:
        return print_json(routes.json)
    from pillarbox.cli.terminal import console, listing

    if not routes.rules:
        print("No rules: mail goes by the relay it names, or by the default one.")
        return None
    rows = [
        (
            ", ".join(f"{name} {value}" for name, value in rule["when"].items()) or "all mail",
            rule["relays"][0],
            ", then ".join(rule["relays"][1:]),
        )
        for rule in routes.rules
    ]
    return console().print(listing(("Mail", "Carried by", "Stands in"), rows))
