"""
Which relay carries which mail, and who stands in for it.

A route is a list of rules, read from the top; the first that fits counts. Its first relay
carries the mail. The others stand in, in their order, while those before them are out. Mail
that names a relay goes there: a rule may give it stand-ins and takes it nowhere else, unless
the rule names that relay itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select

from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.base.errors import Conflict, Invalid, Rejected
from pillarbox.journal import journal
from pillarbox.journal.events import RoutesChanged
from pillarbox.queue.streams import stream_named
from pillarbox.relays.suspension import Rest
from pillarbox.relays.tables import routes

OUT_AFTER = timedelta(seconds=60)  # of rest; a relay that needs a person is out at once
MAX_RULES = 100
MAX_RELAYS = 8  # in a rule

_CONDITIONS = ("stream", "sender_domain", "recipient_domain", "relay")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """What mail must be like; None fits everything. relay is an id. Domains in lower case."""

    stream: str | None = None
    sender_domain: str | None = None
    recipient_domain: str | None = None
    relay: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """relays are ids: who carries it, then who stands in."""

    when: When
    relays: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """All rules, at one version. Version 0 is what there is before anybody has said anything."""

    version: int = 0
    rules: tuple[Rule, ...] = ()
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What rules ask about. named is the relay that it names, by id."""

    stream: str
    sender_domain: str
    recipient_domain: str
    named: str | None = None


def relays_for(rules: tuple[Rule, ...], mail: Mail, default: str) -> tuple[str, ...]:
    """The ids of who carries it and of who stands in, in order; at least one."""
    for rule in rules:
        if _fits(rule, mail, default):
            return rule.relays
    return (mail.named or default,)


def is_out(rest: Rest | None, now: datetime) -> bool:
    """Whether others stand in for a relay: it waits for a person, or has rested for a while."""
    return rest is not None and (rest.needs_person or now - rest.since >= OUT_AFTER)


class Routing:
    """The routes of this installation: every version is kept, the last one counts."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.current = Routes()

    async def load(self) -> None:
        """Read them, also when another process may have changed them."""
        self.current = await self._database.read(last_routes)

    async def replace(
        self, rules: tuple[Rule, ...], principal: str, *, expected_version: int | None = None
    ) -> Routes:
        """New rules instead of all there are. Raises Conflict when somebody was first."""
        now = self._clock.now()

        def store(connection: Connection) -> Routes:
            before = last_routes(connection).version
            if expected_version not in (None, before):
                raise Conflict(f"the routes are at version {before}, not {expected_version}")
            row = {"version": before + 1, "rules": [_written(each) for each in rules]}
            connection.execute(insert(routes), row | {"changed_at": now, "principal": principal})
            event = RoutesChanged(principal=principal, version=before + 1, rules=len(rules))
            journal.write(connection, [(now, event)])
            return last_routes(connection)

        self.current = await self._database.write(store)
        return self.current


def read_rules(typed: object, find: Callable[[str], str]) -> tuple[Rule, ...]:
    """
    Rules as callers write them. find makes an id of a relay's name and raises Invalid.

    Raises Rejected with every mistake, each with its field, as in rules/0/relays/1.
    """
    if not isinstance(typed, list) or len(typed) > MAX_RULES:
        raise Rejected([Invalid(f"a list of at most {MAX_RULES} rules", field="rules")])
    problems: list[Invalid] = []
    rules = []
    for number, each in enumerate(typed):
        try:
            rules.append(_read_rule(each, find))
        except Invalid as problem:
            problems.append(problem.under(f"rules/{number}"))
    if problems:
        raise Rejected(problems)
    return tuple(rules)


def _read_rule(typed: object, find: Callable[[str], str]) -> Rule:
    if not isinstance(typed, dict) or set(typed) - {"when", "relays"}:
        raise Invalid("a rule has when and relays, and nothing else")
    when, relays = typed.get("when") or {}, typed.get("relays")
    if not isinstance(when, dict) or set(when) - set(_CONDITIONS):
        raise Invalid(f"conditions are {', '.join(_CONDITIONS)}", field="when")
    if not isinstance(relays, list) or not 0 < len(relays) <= MAX_RELAYS:
        raise Invalid(f"name one to {MAX_RELAYS} relays, the first one first", field="relays")
    ids = tuple(_read_at(f"relays/{n}", find, each) for n, each in enumerate(relays))
    if len(set(ids)) < len(ids):
        raise Invalid("a relay is named twice", field="relays")
    return Rule(When(**dict(_read_conditions(when, find))), ids)


def _read_conditions(
    typed: Mapping[str, object], find: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    readers = {"stream": lambda name: stream_named(name).name, "relay": find}
    for name, raw in typed.items():
        if raw is not None:
            yield name, _read_at(f"when/{name}", readers.get(name, _read_domain), raw)


def _read_at(field: str, read: Callable[[str], str], raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise Invalid("this is a text, and not an empty one", field=field)
    try:
        return read(raw.strip())
    except Invalid as problem:
        raise Invalid(str(problem), field=field) from None


def _read_domain(raw: str) -> str:
    domain = raw.lower().removeprefix("@")
    if "@" in domain or " " in domain:
        raise Invalid("a domain, such as example.org")
    return domain


def _fits(rule: Rule, mail: Mail, default: str) -> bool:
    when = rule.when
    wanted = (
        (when.stream, mail.stream),
        (when.sender_domain, mail.sender_domain),
        (when.recipient_domain, mail.recipient_domain),
        (when.relay, mail.named or default),
    )
    if any(asked not in (None, there) for asked, there in wanted):
        return False
    return when.relay is not None or mail.named in (None, rule.relays[0])


def last_routes(connection: Connection) -> Routes:
    """The rules that count."""
    query = select(routes).order_by(routes.c.version.desc()).limit(1)
    row = connection.execute(query).first()
    if row is None:
        return Routes()
    rules = tuple(Rule(When(**each["when"]), tuple(each["relays"])) for each in row.rules)
    return Routes(version=row.version, rules=rules, changed_at=row.changed_at)


def _written(rule: Rule) -> Json:
    when = {name: getattr(rule.when, name) for name in _CONDITIONS}
    return {
        "when": {name: value for name, value in when.items() if value is not None},
        "relays": list(rule.relays),
    }
