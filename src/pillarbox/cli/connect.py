"""`pillarbox relay connect`: let a person at the provider allow us to send as them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pillarbox.base.errors import Conflict
from pillarbox.cli.exits import Exit, Usage
from pillarbox.cli.options import NOTHING, Everywhere, ask, print_json
from pillarbox.cli.secrets import ask_for

if TYPE_CHECKING:
    from pillarbox.client.client import Pillarbox
    from pillarbox.client.consents import Consent

_WAIT_SECONDS = 660.0  # a consent lives for ten minutes


def connect_relay(
    name: str,
    /,
    *,
    device: bool = False,
    refresh_token_stdin: bool = False,
    no_wait: bool = False,
    everywhere: Everywhere = NOTHING,
) -> Exit:
    """Get tokens for a relay that signs in with OAuth 2.0.

    Prints the address to open, or the code to enter, and waits until somebody has. A server has
    to run for the address: the provider sends the person's browser back to it. Ends with 1 when
    there are no tokens in the end.

        pillarbox relay connect main

        pillarbox relay connect main --device

    Parameters
    ----------
    name
        The relay. Its provider, client id and secret are set before: `relay set`.
    device
        Show a code to enter on any other device. It sets grant to device_code.
    refresh_token_stdin
        Keep a refresh token that you have: the first line of standard input.
    no_wait
        Print where to sign in, and do not wait.
    """
    token = _token_from_stdin() if refresh_token_stdin else None

    async def begin(box: Pillarbox) -> Consent:
        if device:
            await box.relays.set(name, grant="device_code")
        begun = await box.relays.connect(name, refresh_token=token)
        if begun.authorize_url and box.server_url is None:
            raise Conflict(
                f"no server runs, and the provider sends the browser back to {begun.redirect_uri}."
                " Start one with `pillarbox serve`, then connect; or use --device"
            )
        if no_wait or not begun.is_waiting:
            return begun
        _tell(begun)
        return await box.relays.wait_for_consent(name, timeout_seconds=_WAIT_SECONDS)

    consent = ask(everywhere, begin)
    _show(consent, everywhere)
    is_well = consent.state in ("working", "expires soon") or (no_wait and consent.is_waiting)
    return Exit.DONE if is_well else Exit.NOT_WELL


def disconnect_relay(name: str, /, *, everywhere: Everywhere = NOTHING) -> None:
    """Drop a relay's tokens, and take the consent back at the provider. Its mail waits."""
    ask(everywhere, lambda box: box.relays.disconnect(name))
    if everywhere.json:
        return print_json({"name": name, "disconnected": True})
    return print(f"Disconnected {name}. To connect it again: pillarbox relay connect {name}")


def _token_from_stdin() -> str:
    typed = ask_for("Refresh token") if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not typed:
        raise Usage("standard input is empty; --refresh-token-stdin reads the token from it")
    return typed


def _tell(begun: Consent) -> None:
    """On standard error, so that --json stays one text."""
    if begun.user_code:
        where = f"Open {begun.verification_uri} and enter the code {begun.user_code}"
    else:
        where = f"Open this address and sign in:\n\n  {begun.authorize_url}\n"
    print(f"{where}\nWaiting until somebody has; Ctrl-C ends the wait.", file=sys.stderr)


def _show(consent: Any, everywhere: Everywhere) -> None:
    if everywhere.json:
        return print_json(consent.json)
    from pillarbox.cli.terminal import console
    from pillarbox.cli.views.consent import show

    return show(consent, console())
