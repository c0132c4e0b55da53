"""Following a message to its end, for `send --wait`."""

from __future__ import annotations

from rich.console import Console

from pillarbox.cli.terminal import rest_of
from pillarbox.cli.views.message import Story, show_news
from pillarbox.client.answers import Message, Relay
from pillarbox.client.client import Pillarbox


class Watch:
    """Tells what happens to one message as it happens; without a console it only watches."""

    def __init__(self, box: Pillarbox, out: Console | None) -> None:
        self._box = box
        self._out = out
        self._told_of_rest = False

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
        elif not story.message.has_ended and story.relay:
            self._tell_rest(story.relay, self._out)

    def _tell_rest(self, relay: Relay, out: Console) -> None:
        if (rest := rest_of(relay)) and not self._told_of_rest:
            out.print(f"{relay.name} is{rest}. Ctrl-C stops watching; the mail stays.")
            self._told_of_rest = True


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
