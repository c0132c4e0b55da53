"""A message for people: what became of it, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pillarbox.cli.advice import advice_on
from pillarbox.cli.terminal import clock, facts, listing, local, plain, word
from pillarbox.client.answers import Attempt, Delivery, Event, Message, Page, Session

_INDENT = (0, 0, 0, 2)
_DEEPER = (0, 0, 0, 4)
_OUTCOMES = {"relayed": "relayed", "failed": "failed", "unknown": "uncertain"}
_EVENTS = {
    "message.accepted": "accepted",
    "delivery.relayed": "relayed",
    "delivery.deferred": "deferred",
    "delivery.failed": "failed",
    "delivery.uncertain": "uncertain: no answer after the final dot",
    "delivery.returned": "back in the queue; the attempt does not count",
    "delivery.expired": "expired",
    "delivery.cancelled": "cancelled",
    "delivery.retried": "to be tried again now",
}


def show_list(page: Page[Message], out: Console) -> None:
    """Messages, newest first."""
    if not page.items:
        out.print("No messages.")
        return
    rows = [
        (each.id, local(each.created_at), word(each.state), _recipients(each), each.subject)
        for each in page
    ]
    table = listing(("Message", "Accepted", "State", "To", "Subject"), rows)
    out.print(table if out.width >= 100 else _narrow(page))
    if page.has_more:
        out.print(f"\nOlder ones: pillarbox message list --after {page.items[-1].id}")


def _narrow(page: Page[Message]) -> Table:
    """Two lines a message: an id leaves too little of 80 columns for the rest."""
    table = Table.grid(padding=(0, 2))
    for each in page:
        table.add_row(word(each.state), each.id, local(each.created_at))
        table.add_row("", _cut(_recipients(each), 30), Text(_cut(plain(each.subject), 28), "dim"))
    return table


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _recipients(message: Message) -> str:
    first, *others = [each.to for each in message.deliveries] or [""]
    return plain(f"{first} and {len(others)} more" if others else first)


def show(message: Message, out: Console, *, transcript: bool = False) -> None:
    """Everything that happened to one message."""
    out.print(Text.assemble(message.id, "  ", word(message.state)))
    out.print(_heading(message))
    for delivery in message.deliveries:
        out.print()
        out.print(_delivery(message, delivery, transcript=transcript))
    if timeline := list(_timeline(message)):
        out.print("\nTimeline")
        out.print(Padding(Group(*timeline), _INDENT))
    if hint := _hint(message, transcript=transcript):
        out.print(f"\n{hint}")


def _heading(message: Message) -> Table:
    return facts(
        (
            ("Subject", message.subject),
            ("From", message.from_),
            ("Relay", message.relay),
            ("Stream", message.stream),
            (
                "Accepted",
                f"{local(message.created_at)}  by {message.inlet} for {message.principal}",
            ),
            ("Send at", local(message.send_at)),
            ("Expires", "" if message.has_ended else local(message.expires_at)),
            ("Size", f"{message.size:,} octets" if message.size else ""),
            ("Message-ID", message.message_id),
            ("Tags", ", ".join(message.tags)),
        )
    )


def _delivery(message: Message, delivery: Delivery, *, transcript: bool) -> RenderableType:
    heading = Text.assemble("To ", plain(delivery.to), "  ", word(delivery.state))
    rows: list[RenderableType] = [heading]
    if delivery.due_at and not delivery.has_ended:
        rows.append(Padding(f"next attempt {local(delivery.due_at)}", _INDENT))
    if delivery.possible_duplicate:
        doubt = "The recipient may get this twice: an answer was lost after the final dot."
        rows.append(Padding(word("uncertain", doubt), _INDENT))
    attempts = [each for each in message.attempts if each.delivery_id == delivery.id]
    sessions = {each.id: each for each in message.sessions}
    for attempt in attempts:
        session = sessions.get(attempt.session_id or "")
        rows.append(Padding(_attempt(attempt, session, transcript=transcript), _INDENT))
    if not attempts:
        rows.append(Padding(Text("not tried yet", "dim"), _INDENT))
    return Group(*rows)


def _attempt(attempt: Attempt, session: Session | None, *, transcript: bool) -> RenderableType:
    """One try: when, how it ended, what the server said, on what connection, why, what to do."""
    state = _OUTCOMES.get(attempt.outcome, attempt.outcome)
    where = f" at {attempt.stage}" if attempt.stage and attempt.outcome == "failed" else ""
    heading = Text.assemble(
        f"Attempt {attempt.number}  {clock(attempt.started_at)}  ",
        word(state),
        f"{where}{_took(attempt)}",
    )
    rows: list[tuple[str, Any]] = [("Answer", attempt.answer), ("Server", _server(session))]
    place = {"host": session.host} if session else {}
    if found := advice_on(attempt.advice, place):
        rows += [("Cause", found.cause), ("Do", found.fix)]
    parts: list[RenderableType] = [heading, facts(rows)]
    if transcript:
        said = (*(session.transcript if session else ()), *attempt.transcript)
        parts.append(Padding(Text("\n".join(map(plain, said)), "dim"), _DEEPER))
    return Group(*parts)


def _took(attempt: Attempt) -> str:
    if attempt.started_at is None or attempt.ended_at is None:
        return ""
    milliseconds = (attempt.ended_at - attempt.started_at).total_seconds() * 1000
    return f", {milliseconds:,.0f} ms"


def _server(session: Session | None) -> str:
    if session is None:
        return ""
    tls = session.tls.get("version") or "no TLS"
    login = f", signed in with {session.mechanism}" if session.mechanism else ""
    address = f" ({session.address})" if session.address not in ("", session.host) else ""
    return f"{session.host}{address}, {tls}{login}"


def _timeline(message: Message) -> Iterator[Text]:
    to = {each.id: each.to for each in message.deliveries}
    for event in message.events:
        who = plain(to.get(event.delivery_id or "", ""))
        yield Text.assemble((local(event.at), "dim"), "  ", _what(event), "  ", (who, "dim"))


def _what(event: Event) -> Text:
    known = _EVENTS.get(event.name, event.name)
    return word(event.name.rpartition(".")[2], known)


def _hint(message: Message, *, transcript: bool) -> str:
    if message.state in ("failed", "expired"):
        return f"When the cause is gone: pillarbox message retry {message.id}"
    if message.attempts and not transcript and not message.is_relayed:
        return f"What was said on the line: pillarbox message show {message.id} --transcript"
    return ""


def show_news(before: Message | None, after: Message, out: Console) -> None:
    """What happened since the last look: each attempt as it ended, each delivery that ended."""
    seen = {each.id for each in before.attempts} if before else set()
    to = {each.id: each.to for each in after.deliveries}
    for attempt in after.attempts:
        if attempt.id not in seen:
            _show_try(attempt, to.get(attempt.delivery_id, ""), out)
    for delivery in _newly_ended(before, after):
        out.print(
            Text.assemble(
                clock(delivery.changed_at), "  ", plain(delivery.to), "  ", word(delivery.state)
            )
        )


def _show_try(attempt: Attempt, to: str, out: Console) -> None:
    state = _OUTCOMES.get(attempt.outcome, attempt.outcome)
    where = f" at {attempt.stage}" if attempt.stage and attempt.outcome == "failed" else ""
    out.print(Text.assemble(clock(attempt.ended_at), "  ", plain(to), "  ", word(state), where))
    found = advice_on(attempt.advice, {})
    rows: list[tuple[str, Any]] = [("Answer", attempt.answer)]
    if found:
        rows += [("Cause", found.cause), ("Do", found.fix)]
    out.print(Padding(facts(rows), (0, 0, 0, 8)))


def _newly_ended(before: Message | None, after: Message) -> Iterable[Delivery]:
    """Those that ended otherwise than by an attempt, which has been shown."""
    old = {each.id: each.state for each in before.deliveries} if before else {}
    for each in after.deliveries:
        if each.state in ("expired", "cancelled", "held") and old.get(each.id) != each.state:
            yield each
