"""Following a message to its end, for `send --wait`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.console import Console

from pillarbox.base.clock import SystemClock
from pillarbox.cli.terminal import clock, rest_of
from pillarbox.cli.views.message import Story, show_news
from pillarbox.client.answers import Message, Relay
from pillarbox.client.client import Pillarbox


class Watch:
    """Tells what happens to one message as it happens; without a console it only watches."""

    def __init__(self, box: Pillarbox, out: Console | None) -> None:
        self._box = box
        self._out = out
        self._clock = SystemClock()
        self._told: set[str] = set()

    async def follow(self, message: Message) -> Message:
        """The message when it has ended, or when it waits for a person and watching is no use."""
        relay = await self._box.relays.get(message.relay)
        before = None
        async for after in self._box.messages.follow(message.id):
            if is_delayed(after):
                relay = await self._box.relays.get(message.relay)
            is_stuck = needs_person(after, relay)
            self._tell(before, Story(message=after, relay=relay), is_stuck=is_stuck)
            before = after
            if is_stuck:
                break
        return before or message

    def _tell(self, before: Message | None, story: Story, *, is_stuck: bool) -> None:
        if self._out is None:
            return
        show_news(before, story, self._out)
        if is_stuck:
            self._out.print(f"\nThis waits for you: pillarbox relay show {story.message.relay}")
            self._out.print("The mail is kept, and is sent when the cause is gone.")
        elif not story.message.has_ended:
            self._tell_what_follows(story, self._out)

    def _tell_what_follows(self, story: Story, out: Console) -> None:
        """When each recipient is tried again, once for each time."""
        for line in dict.fromkeys(self._what_follows(story)):
            if line in self._told:
                continue
            hint = "" if self._told else "; Ctrl-C stops watching, the mail stays"
            self._told.add(line)
            out.print(f"          {line}{self._in_seconds(line, story)}{hint}", soft_wrap=True)

    def _what_follows(self, story: Story) -> Iterator[str]:
        for each in story.message.deliveries:
            if each.due_at and each.state in ("deferred", "uncertain"):
                yield f"{each.state}, next attempt {clock(each.due_at)}"
        if story.relay and (rest := rest_of(story.relay)):
            yield f"{story.relay.name} is{rest}"

    def _in_seconds(self, line: str, story: Story) -> str:
        """` (in 62 s)`, for the moment that ends the line."""
        until = story.relay.status.get("until") if story.relay else None
        moments = [each.due_at for each in story.message.deliveries if each.due_at]
        moments += [datetime.fromisoformat(until)] if until else []
        for moment in moments:
            if line.endswith(clock(moment)):
                return f" (in {max((moment - self._clock.now()).total_seconds(), 0):.0f} s)"
        return ""


def is_delayed(message: Message) -> bool:
    """Whether it waits for its relay."""
    has_failed = any(attempt.blame == "relay" for attempt in message.attempts)
    return has_failed and not message.has_ended


def needs_person(message: Message, relay: Relay) -> bool:
    """Whether nothing more happens until somebody does something."""
    if message.has_ended:
        return False
    if all(each.has_ended or each.state == "held" for each in message.deliveries):
        return True
    return is_delayed(message) and relay.status.get("state") == "suspended"
