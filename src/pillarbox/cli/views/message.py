"""A message for people: what became of it, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pillarbox.cli.advice import advice_on, command_for
from pillarbox.cli.terminal import clock, facts, listing, local, plain, rest_of, word
from pillarbox.client.answers import Attempt, Delivery, Event, Message, Page, Relay, Session

_INDENT = (0, 0, 0, 2)
_WIDE = 100  # columns; below that, an id leaves too little for the rest of a line
_OUTCOMES = {"unknown": "uncertain"}
_EVENTS = {
    "message.accepted": "accepted",
    "message.resent": "resent",
    "message.rescheduled": "to be sent at another time",
    "delivery.held": "held",
    "delivery.released": "released",
    "delivery.relayed": "relayed",
    "delivery.deferred": "deferred",
    "delivery.failed": "failed",
    "delivery.uncertain": "uncertain",
    "delivery.returned": "back in the queue, not counted",
    "delivery.expired": "expired",
    "delivery.cancelled": "cancelled",
    "delivery.retried": "to be tried again now",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A message, the relay it goes by if there still is one, and how much to tell."""

    message: Message
    relay: Relay | None = None
    transcript: bool = False

    @property
    def place(self) -> Mapping[str, Any]:
        """Host, port and TLS mode, for the sentences of the catalogue."""
        return self.relay.json if self.relay else {}

    @property
    def in_sandbox(self) -> bool:
        return self.relay is not None and self.relay.kind == "sandbox"

    def state(self, state: str) -> Text:
        """A state in its word and colour."""
        return _state(state, in_sandbox=self.in_sandbox)


def _state(state: str, *, in_sandbox: bool) -> Text:
    """What the sandbox took did not go anywhere, so it is not called relayed."""
    return word(state, "captured" if in_sandbox and state == "relayed" else None)


def show_list(page: Page[Message], out: Console, sandboxes: Collection[str] = frozenset()) -> None:
    """Messages, newest first. sandboxes are the names of relays that keep what they take."""
    if not page.items:
        out.print("No messages.")
        return
    states = [_state(each.state, in_sandbox=each.relay in sandboxes) for each in page]
    out.print(_wide(page, states) if out.width >= _WIDE else _narrow(page, states))
    if page.has_more:
        _say(out, f"\nOlder ones: pillarbox message list --after {page.items[-1].id}")


def _wide(page: Page[Message], states: Sequence[Text]) -> Table:
    rows = [
        (each.id, local(each.created_at), state, _recipients(each), each.subject)
        for each, state in zip(page, states, strict=True)
    ]
    return listing(("Message", "Accepted", "State", "To", "Subject"), rows)


def _narrow(page: Page[Message], states: Sequence[Text]) -> Table:
    """Two lines a message."""
    table = Table.grid(padding=(0, 2))
    for each, state in zip(page, states, strict=True):
        table.add_row(state, each.id, local(each.created_at))
        table.add_row("", _cut(_recipients(each), 30), Text(_cut(plain(each.subject), 28), "dim"))
    return table


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _recipients(message: Message) -> str:
    first, *others = [each.to for each in message.deliveries] or [""]
    return plain(f"{first} and {len(others)} more" if others else first)


def show(story: Story, out: Console) -> None:
    """Everything that happened to one message."""
    message = story.message
    out.print(Text.assemble(message.id, "  ", story.state(message.state)))
    out.print(_heading(story))
    for delivery in message.deliveries:
        out.print()
        out.print(_delivery(story, delivery))
    if message.events:
        out.print("\nTimeline")
        out.print(Padding(_timeline(story), _INDENT))
    if hint := _hint(story):
        _say(out, f"\n{hint}")


def _say(out: Console, text: str) -> None:
    """A command to copy is never broken into lines."""
    out.print(text, soft_wrap=True)


def _heading(story: Story) -> Table:
    message = story.message
    waits = "" if message.has_ended or story.relay is None else rest_of(story.relay)
    return facts(
        (
            ("Subject", message.subject),
            ("From", message.from_),
            ("Relay", f"{message.relay}{waits and f',{waits}'}"),
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
            ("Resent from", message.resent_from),
            ("Resent as", ", ".join(message.resent_as)),
        )
    )


def _delivery(story: Story, delivery: Delivery) -> RenderableType:
    rows: list[RenderableType] = [
        Text.assemble("To ", plain(delivery.to), "  ", story.state(delivery.state))
    ]
    if delivery.due_at and delivery.state in ("scheduled", "deferred", "uncertain"):
        rows.append(Padding(f"next attempt {local(delivery.due_at)}", _INDENT))
    if delivery.possible_duplicate:
        doubt = "An answer was lost after the final dot: this may arrive twice."
        rows.append(Padding(word("uncertain", doubt), _INDENT))
    attempts = [each for each in story.message.attempts if each.delivery_id == delivery.id]
    for number, attempt in enumerate(attempts):
        follows = attempts[number + 1] if number + 1 < len(attempts) else None
        is_told_later = follows is not None and follows.advice == attempt.advice
        rows.append(Padding(_attempt(story, attempt, advised=not is_told_later), _INDENT))
    if not attempts:
        rows.append(Padding(Text("not tried yet", "dim"), _INDENT))
    return Group(*rows)


def _attempt(story: Story, attempt: Attempt, *, advised: bool) -> RenderableType:
    """One try: when, how it ended, what the server said, on what connection, why, what to do."""
    session = next((s for s in story.message.sessions if s.id == attempt.session_id), None)
    heading = Text.assemble(
        f"Attempt {attempt.number}  {clock(attempt.started_at)}  ",
        _ending(story, attempt),
        _took(attempt),
    )
    rows: list[tuple[str, Any]] = [("Answer", attempt.answer), ("Server", _server(session))]
    parts: list[RenderableType] = [
        heading,
        facts([*rows, *(_advice(attempt, story) if advised else ())]),
    ]
    if story.transcript:
        parts.append(Padding(_said(story, attempt, session), _INDENT))
    return Group(*parts)


def _said(story: Story, attempt: Attempt, session: Session | None) -> Text:
    """The conversation; recipients of one transaction share it, so it is shown once."""
    alike = [
        each
        for each in story.message.attempts
        if (each.session_id, each.transcript) == (attempt.session_id, attempt.transcript)
    ]
    if alike[0].id != attempt.id:
        return Text("(the same conversation as above)", "dim")
    lines = (*(session.transcript if session else ()), *attempt.transcript)
    return Text("\n".join(map(plain, lines)) or "(nothing was said)", "dim")


def _ending(story: Story, attempt: Attempt) -> Text:
    state = _OUTCOMES.get(attempt.outcome, attempt.outcome)
    where = f" at {attempt.stage}" if attempt.stage and attempt.outcome == "failed" else ""
    return Text.assemble(story.state(state), where)


def _took(attempt: Attempt) -> str:
    if attempt.started_at is None or attempt.ended_at is None:
        return ""
    milliseconds = (attempt.ended_at - attempt.started_at).total_seconds() * 1000
    return f", {milliseconds:,.0f} ms" if milliseconds >= 1 else ""


def _server(session: Session | None) -> str:
    if session is None:
        return ""
    tls = session.tls.get("version") or "without TLS"
    login = f", signed in with {session.mechanism}" if session.mechanism else ""
    address = f" ({session.address})" if session.address not in ("", session.host) else ""
    return f"{session.host}{address}, {tls}{login}"


def _advice(attempt: Attempt, story: Story) -> Iterator[tuple[str, Any]]:
    if found := advice_on(attempt.advice, story.place):
        yield "Cause", found.cause
        yield "Do", found.fix
        yield "Type", command_for(attempt.advice, story.relay.name if story.relay else None)


def _timeline(story: Story) -> Table:
    message = story.message
    to = {each.id: each.to for each in message.deliveries}
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim", overflow="ellipsis", no_wrap=True)
    for event in message.events:
        table.add_row(
            local(event.at), _what(story, event), plain(to.get(event.delivery_id or "", ""))
        )
    return table


def _what(story: Story, event: Event) -> Text:
    if story.in_sandbox and event.name == "delivery.relayed":
        return story.state("relayed")
    return word(event.name.rpartition(".")[2], _EVENTS.get(event.name, event.name))


def _hint(story: Story) -> str:
    message = story.message
    if message.state in ("failed", "expired"):
        return f"When the cause is gone: pillarbox message retry {message.id}"
    if message.sessions and not story.transcript and not message.is_relayed:
        return f"What was said on the line: pillarbox message show {message.id} --transcript"
    return ""


def show_news(before: Message | None, story: Story, out: Console) -> None:
    """What happened since the last look: attempts as they ended, deliveries that ended."""
    after = story.message
    known = {each.id: each for each in before.attempts} if before else {}
    said = {(each.delivery_id, each.answer) for each in known.values()}
    to = {each.id: each.to for each in after.deliveries}
    for attempt in after.attempts:
        if attempt.id in known:
            continue
        ending = _ending(story, attempt)
        _show_line(out, clock(attempt.ended_at), to.get(attempt.delivery_id, ""), ending)
        if (attempt.delivery_id, attempt.answer) not in said:
            rows = [("Answer", attempt.answer), *_advice(attempt, story)]
            out.print(Padding(facts(rows), (0, 0, 0, 8)))
    for delivery in _newly_ended(before, after):
        _show_line(out, clock(delivery.changed_at), delivery.to, word(delivery.state))


def _show_line(out: Console, at: str, to: str, ending: Text) -> None:
    out.print(Text.assemble(at, "  ", plain(to), "  ", ending))


def _newly_ended(before: Message | None, after: Message) -> Iterable[Delivery]:
    """Those that ended otherwise than by an attempt, which has been shown."""
    old = {each.id: each.state for each in before.deliveries} if before else {}
    for each in after.deliveries:
        if each.state in ("expired", "cancelled", "held") and old.get(each.id) != each.state:
            yield each
