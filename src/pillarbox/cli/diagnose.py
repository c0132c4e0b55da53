"""`pillarbox diagnose`: try a relay step by step."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from pillarbox.cli.exits import Exit, Usage
from pillarbox.cli.options import NOTHING, Everywhere, Home, ask, group, print_json
from pillarbox.cli.relay import NO_SETTINGS, Settings
from pillarbox.cli.secrets import NO_PASSWORD, PasswordFrom

app = group("diagnose", "Try a relay step by step, and say what to do about it.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Recipient:
    """Whom the server is asked about, or sent a test mail for."""

    to: Annotated[str | None, Parameter(metavar="ADDRESS")] = None
    """Would the server take mail for this address?"""

    send: bool = False
    """Send a test mail to that address, and see what the server says to it."""

    def fields(self) -> dict[str, Any]:
        """As the API takes them. Raises Usage for a letter to nobody."""
        if self.send and self.to is None:
            raise Usage("say with --to whom the test mail is for")
        told = {"to": self.to, "send": self.send or None}
        return {name: value for name, value in told.items() if value is not None}


NOBODY = Recipient()


@app.default
def diagnose(
    relay: str | None = None,
    /,
    *,
    recipient: Recipient = NOBODY,
    settings: Settings = NO_SETTINGS,
    password: PasswordFrom = NO_PASSWORD,
    everywhere: Everywhere = NOTHING,
) -> Exit:
    """Try a saved relay, or settings that are not saved, step by step.

    Nothing is sent, unless --send is said. With --to the server is asked whether it would
    take mail for that address; with --send too, a test mail goes there, because a server may
    refuse the sender or the content at the very end. Ends with 1 when the relay does not work.

        pillarbox diagnose main --to ann@example.org

        pillarbox diagnose --host smtp.example.org --port 587 --username ann --password-stdin

    Parameters
    ----------
    relay
        The name of a saved relay. Without it, say the settings.
    """
    fields = settings.fields()
    if relay is not None and set(fields) - {"from"}:
        raise Usage(f"name a relay or say its settings, not both ({', '.join(fields)})")
    if relay is None and not fields:
        raise Usage("name a relay, or say --host or --preset")
    fields |= _typed_secret(relay, fields, password)
    fields |= recipient.fields()
    if sys.stderr.isatty():
        print("Trying it; this takes half a minute at most.", file=sys.stderr)
    home = Home.EXPECTED if relay else Home.SPARED
    report = ask(everywhere, lambda box: box.relays.diagnose(relay, **fields), home=home)
    _show(report, everywhere)
    return Exit.DONE if report.ok else Exit.NOT_WELL


def _typed_secret(
    relay: str | None, fields: dict[str, Any], password: PasswordFrom
) -> dict[str, str]:
    """A saved relay has its own; typed settings come with theirs."""
    given = (
        password.read()
        if relay or "username" not in fields
        else password.read_or_ask(str(fields["username"]))
    )
    return {} if given is None else {"password": given}


def _show(report: Any, everywhere: Everywhere) -> None:
    if everywhere.json:
        return print_json(report.json)
    from pillarbox.cli.terminal import console
    from pillarbox.cli.views.report import show

    return show(report, console(), transcript=everywhere.debug)
