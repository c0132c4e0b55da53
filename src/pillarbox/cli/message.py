"""`pillarbox message`: messages and what became of them."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pillarbox.base.errors import NotFound
from pillarbox.cli.exits import Usage
from pillarbox.cli.options import NOTHING, Everywhere, ask, group, print_json
from pillarbox.queue.state import DeliveryState

if TYPE_CHECKING:
    from pillarbox.client.answers import Message, Page, Relay
    from pillarbox.client.client import Pillarbox

CAPTURED = "captured"
"""What the sandbox took is called so, here and in the console: nothing left this machine."""

_STATES = (*(each.value for each in DeliveryState), CAPTURED)
_MOST = 100

app = group("message", "Messages and what became of them.")


@app.command(name="list")
def list_(
    *,
    state: str | None = None,
    limit: Annotated[int, Parameter(metavar="N")] = 20,
    after: Annotated[str | None, Parameter(metavar="ID")] = None,
    relay: str | None = None,
    everywhere: Everywhere = NOTHING,
) -> None:
    """List messages, newest first.

    Parameters
    ----------
    state
        Only those with a delivery in this state: queued, deferred, failed, relayed, …;
        captured: those that a sandbox took.
    limit
        How many, 1 to 100.
    after
        Only those older than this message.
    relay
        Only those that go by this relay.
    """
    _check(state, limit, after)

    async def work(box: Pillarbox) -> tuple[Page[Message], frozenset[str]]:
        sandboxes = await _sandboxes(box)
        by, wanted = relay, state
        if state == CAPTURED:
            by, wanted = relay or _only(sandboxes), "relayed"
        found = await box.messages.list(state=wanted, limit=limit, after=after, relay=by)
        return found, sandboxes

    page, sandboxes = ask(everywhere, work)
    if everywhere.json:
        return print_json(page.json)
    from pillarbox.cli.terminal import console
    from pillarbox.cli.views.message import show_list

    return show_list(page, console(), sandboxes)


def _check(state: str | None, limit: int, after: str | None) -> None:
    """Raises Usage for what no server could answer."""
    if state is not None and state not in _STATES:
        raise Usage(f"--state: there is no state “{state}”{_hint(state)}")
    if not 1 <= limit <= _MOST:
        raise Usage(f"--limit is between 1 and {_MOST}, not {limit}")
    if after is not None and not after.startswith("msg_"):
        raise Usage(f"--after takes the id of a message, msg_…, not “{after}”")


def _hint(state: str) -> str:
    near = difflib.get_close_matches(state, _STATES, n=1)
    return f"; did you mean {near[0]}?" if near else f". There are: {', '.join(_STATES)}"


async def _sandboxes(box: Pillarbox) -> frozenset[str]:
    return frozenset(each.name for each in await box.relays.list() if each.kind == "sandbox")


def _only(sandboxes: frozenset[str]) -> str:
    if not sandboxes:
        raise Usage("--state captured: there is no sandbox; --state relayed lists what was sent")
    if len(sandboxes) > 1:
        names = ", ".join(sorted(sandboxes))
        raise Usage(f"--state captured: say by which sandbox, with --relay: {names}")
    return next(iter(sandboxes))


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
    """Let go what is held, now or at its time.

    All that a restore holds is let go by `pillarbox restore --release`.
    """
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
