"""`pillarbox message`: messages and what became of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pillarbox.base.errors import NotFound
from pillarbox.cli.options import NOTHING, Everywhere, ask, group, print_json

if TYPE_CHECKING:
    from pillarbox.client.answers import Message, Relay
    from pillarbox.client.client import Pillarbox

app = group("message", "Messages and what became of them.")


@app.command(name="list")
def list_(
    *,
    state: str | None = None,
    limit: Annotated[int, Parameter(metavar="N")] = 20,
    after: Annotated[str | None, Parameter(metavar="ID")] = None,
    everywhere: Everywhere = NOTHING,
) -> None:
    """List messages, newest first.

    Parameters
    ----------
    state
        Only those with a delivery in this state: queued, deferred, failed, relayed, …
    limit
        How many, 1 to 100.
    after
        Only those older than this message.
    """
    page = ask(everywhere, lambda box: box.messages.list(state=state, limit=limit, after=after))
    if everywhere.json:
        return print_json(page.json)
    from pillarbox.cli.terminal import console
    from pillarbox.cli.views.message import show_list

    return show_list(page, console())


@app.command
def show(
    message_id: Annotated[str, Parameter(name="ID")],
    /,
    *,
    transcript: bool = False,
    everywhere: Everywhere = NOTHING,
) -> None:
    """Show one message and everything that happened to it.

    Parameters
    ----------
    transcript
        Show what was said on the line, too.
    """
    message, relay = ask(everywhere, lambda box: _with_relay(box, message_id))
    if everywhere.json:
        return print_json(message.json)
    from pillarbox.cli.terminal import console
    from pillarbox.cli.views.message import Story, show

    return show(Story(message=message, relay=relay, transcript=transcript), console())


async def _with_relay(box: Pillarbox, message_id: str) -> tuple[Message, Relay | None]:
    """A message and the relay it goes by, unless that was removed."""
    message = await box.messages.get(message_id)
    try:
        return message, await box.relays.get(message.relay)
    except NotFound:
        return message, None


@app.command
def cancel(
    message_id: Annotated[str, Parameter(name="ID")], /, *, everywhere: Everywhere = NOTHING
) -> None:
    """Withdraw what is not relayed yet."""
    _change(everywhere, lambda box: box.messages.cancel(message_id))


@app.command
def retry(
    message_id: Annotated[str, Parameter(name="ID")], /, *, everywhere: Everywhere = NOTHING
) -> None:
    """Try again now what waits or has failed."""
    _change(everywhere, lambda box: box.messages.retry(message_id))


@app.command
def hold(
    message_id: Annotated[str, Parameter(name="ID")], /, *, everywhere: Everywhere = NOTHING
) -> None:
    """Keep what waits until it is released."""
    _change(everywhere, lambda box: box.messages.hold(message_id))


@app.command
def release(
    message_id: Annotated[str, Parameter(name="ID")], /, *, everywhere: Everywhere = NOTHING
) -> None:
    """Let go what is held, now or at its time."""
    _change(everywhere, lambda box: box.messages.release(message_id))


@app.command
def reschedule(
    message_id: Annotated[str, Parameter(name="ID")],
    /,
    *,
    send_at: Annotated[str, Parameter(metavar="TIME")],
    everywhere: Everywhere = NOTHING,
) -> None:
    """Send it at another moment, as long as it was not tried.

    Parameters
    ----------
    send_at
        2026-11-20T17:30:00+01:00, or now.
    """
    moment = None if send_at == "now" else send_at
    _change(everywhere, lambda box: box.messages.reschedule(message_id, moment))


@app.command
def resend(
    message_id: Annotated[str, Parameter(name="ID")],
    /,
    *,
    to: Annotated[tuple[str, ...], Parameter(metavar="ADDRESS")] = (),
    idempotency_key: Annotated[str | None, Parameter(metavar="KEY")] = None,
    everywhere: Everywhere = NOTHING,
) -> None:
    """Send it again as a new message.

    Parameters
    ----------
    to
        Only to this one of its recipients; as often as needed.
    idempotency_key
        Your name for this. Doing it again sends no second one.
    """
    message = ask(
        everywhere,
        lambda box: box.messages.resend(
            message_id, to=list(to) or None, idempotency_key=idempotency_key
        ),
    )
    if everywhere.json:
        return print_json(message.json)
    print(f"{message.id}  {message.state}, resent from {message_id}")
    return None


def _change(everywhere: Everywhere, work: Callable[[Pillarbox], Awaitable[Message]]) -> None:
    message = ask(everywhere, work)
    if everywhere.json:
        return print_json(message.json)
    for each in message.deliveries:
        print(f"{each.state:10}  {each.to}")
    return None
