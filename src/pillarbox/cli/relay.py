"""`pillarbox relay`: where mail goes."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from pillarbox.base.errors import Invalid, Rejected
from pillarbox.cli.connect import connect_relay, disconnect_relay
from pillarbox.cli.exits import Exit, Usage
from pillarbox.cli.imports import read_import, read_setting
from pillarbox.cli.options import NOTHING, Everywhere, Home, ask, group, print_json
from pillarbox.cli.secrets import NO_PASSWORD, PasswordFrom, ask_for, ask_openly

if TYPE_CHECKING:
    from pillarbox.client.answers import Relay
    from pillarbox.client.client import Pillarbox
    from pillarbox.client.consents import Consent

T = TypeVar("T")

app = group("relay", "Relays: where mail goes.")
app.command(connect_relay, name="connect")
app.command(disconnect_relay, name="disconnect")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be said about a relay. Whatever is not said follows from the rest."""

    preset: str | None = None
    """A provider whose relay is known: gmail, sendgrid, microsoft-365, …"""

    kind: str | None = None
    """smtp, sandbox (keeps mail to look at) or pickup (writes files)."""

    host: str | None = None
    """The server's name."""

    port: int | None = None
    """465 for implicit TLS, 587 for STARTTLS."""

    tls: str | None = None
    """implicit, starttls or none."""

    auth: str | None = None
    """none, password or oauth2."""

    username: str | None = None
    """Who we are there."""

    from_: Annotated[str | None, Parameter(name="--from", metavar="ADDRESS")] = None
    """Whom mail is from when it does not say: 'Name <a@b.example>'."""

    inherits: Annotated[str | None, Parameter(metavar="RELAY")] = None
    """Another relay, whose word counts where nothing is said of this one."""

    reply_to: Annotated[str | None, Parameter(metavar="ADDRESS")] = None
    """Where answers go."""

    default: bool = False
    """Mail that names no relay goes here."""

    set_: Annotated[tuple[str, ...], Parameter(name="--set", metavar="FIELD=VALUE")] = ()
    """Any other setting, as often as needed. An empty value goes back to the default;
    authorities, client_certificate, client_key and client_key_passphrase take @FILE,
    and a secret may stay where it is: password=env:NAME, password=file:/path."""

    def fields(self) -> dict[str, Any]:
        """What was said, by the names of the API. Raises Usage."""
        said = {
            name: value
            for name, value in self._flags().items()
            if value is not None and value is not False
        }
        return said | dict(read_setting(each) for each in self.set_)

    def _flags(self) -> dict[str, Any]:
        return {
            "preset": self.preset,
            "kind": self.kind,
            "host": self.host,
            "port": self.port,
            "tls": self.tls,
            "auth": self.auth,
            "username": self.username,
            "from": self.from_,
            "reply_to": self.reply_to,
            "inherits": self.inherits,
            "default": self.default,
        }


NO_SETTINGS = Settings()
_WAITING = ("queued", "scheduled", "deferred", "uncertain", "sending")


@app.command
def add(
    name: str,
    /,
    *,
    settings: Settings = NO_SETTINGS,
    password: PasswordFrom = NO_PASSWORD,
    everywhere: Everywhere = NOTHING,
) -> None:
    """Add a relay."""
    fields = settings.fields() | _announced(password)

    async def work(box: Pillarbox) -> Relay:
        return await asking_again(lambda more: box.relays.add(name, **fields, **more))

    _show(ask(everywhere, work, home=Home.MADE), everywhere)


@app.command(name="list")
def list_(*, everywhere: Everywhere = NOTHING) -> None:
    """List all relays and how they are."""
    page = ask(everywhere, lambda box: box.relays.list())
    if everywhere.json:
        return print_json(page.json)
    from pillarbox.cli.terminal import console
    from pillarbox.cli.views.relay import show_list

    return show_list(page, console())


@app.command
def show(name: str, /, *, everywhere: Everywhere = NOTHING) -> None:
    """Show one relay."""

    async def work(box: Pillarbox) -> tuple[Relay, Consent | None]:
        relay = await box.relays.get(name)
        return relay, await box.relays.consent(name) if relay.auth == "oauth2" else None

    relay, consent = ask(everywhere, work)
    if everywhere.json:
        return print_json(relay.json)
    from pillarbox.cli.terminal import console
    from pillarbox.cli.views.consent import show_beside
    from pillarbox.cli.views.relay import show

    show(relay, console())
    return show_beside(consent, console()) if consent else None


@app.command(name="set")
def set_(
    name: str,
    /,
    *,
    settings: Settings = NO_SETTINGS,
    password: PasswordFrom = NO_PASSWORD,
    everywhere: Everywhere = NOTHING,
) -> None:
    """Change what is said here and nothing else."""
    fields = settings.fields() | _announced(password)
    if not fields:
        raise Usage("say what to change, for example --port 587")

    async def work(box: Pillarbox) -> Relay:
        return await asking_again(lambda more: box.relays.set(name, **fields, **more))

    _show(ask(everywhere, work), everywhere)


@app.command
def history(name: str, /, *, everywhere: Everywhere = NOTHING) -> None:
    """List every version: what changed, who changed it and when."""
    page = ask(everywhere, lambda box: box.relays.history(name))
    if everywhere.json:
        return print_json(page.json)
    from pillarbox.cli.terminal import console
    from pillarbox.cli.views.history import show_history

    return show_history(page, console())


@app.command
def undo(
    name: str,
    version: int | None = None,
    /,
    *,
    password: PasswordFrom = NO_PASSWORD,
    everywhere: Everywhere = NOTHING,
) -> None:
    """Take back what one version changed, or the last one, and nothing else."""
    secrets = _announced(password)

    async def work(box: Pillarbox) -> Relay:
        return await asking_again(lambda more: box.relays.undo(name, version, **secrets, **more))

    _show(ask(everywhere, work), everywhere)


@app.command
def export(name: str, /, *, everywhere: Everywhere = NOTHING) -> None:
    """Print a relay's settings as JSON, without its secrets."""
    print_json(ask(everywhere, lambda box: box.relays.export(name)))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Source:
    """Whose settings they are, and what to call the relay."""

    format: str = "pillarbox"
    """pillarbox, umbraco, bold-bi, thingsboard, logto, nodemailer or url."""

    name: str | None = None
    """What to call it; an export has a name."""


AN_EXPORT = Source()


@app.command(name="import")
def import_(
    file: str,
    /,
    *,
    source: Source = AN_EXPORT,
    settings: Settings = NO_SETTINGS,
    password: PasswordFrom = NO_PASSWORD,
    everywhere: Everywhere = NOTHING,
) -> None:
    """Add a relay from an export, or from the settings of another system.

    Parameters
    ----------
    file
        A file of JSON; with --format url, a file with the address in it.
    """
    fields = read_import(file, source.format) | settings.fields() | _announced(password)
    if source.name:
        fields["name"] = source.name

    async def work(box: Pillarbox) -> tuple[Relay, tuple[str, ...]]:
        return await asking_again(
            lambda more: box.relays.import_(system=source.format, **fields | more)
        )

    relay, notes = ask(everywhere, work, home=Home.MADE)
    _show(relay, everywhere)
    for note in () if everywhere.json else notes:
        print(f"\nNote: {note}.")


@app.command
def certificates(
    name: str | None = None,
    /,
    *,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", metavar="FIELD=@FILE")] = (),
    everywhere: Everywhere = NOTHING,
) -> None:
    """Show whom a relay believes and who we are there; without NAME, what files hold.

    Parameters
    ----------
    set_
        authorities, client_certificate, client_key or client_key_passphrase, each as @FILE.
    """
    pem = {field: text or "" for field, text in map(read_setting, set_)}
    if (name is None) != bool(pem):
        raise Usage("name a relay, or files: --set authorities=@ca.pem")
    home = Home.EXPECTED if name else Home.SPARED
    seen = ask(everywhere, lambda box: box.relays.certificates(name, **pem), home=home)
    if everywhere.json:
        return print_json(seen.json)
    from pillarbox.cli.terminal import console
    from pillarbox.cli.views.certificates import show_certificates

    return show_certificates(seen, console())


@app.command
def propose(address: str, /, *, everywhere: Everywhere = NOTHING) -> Exit:
    """Find settings for a mail address: its provider, its domain, what it publishes.

    Nothing is saved and no password is said. Ends with 1 when nothing was found.
    """
    if sys.stderr.isatty():
        print("Looking; this takes a quarter of a minute at most.", file=sys.stderr)
    answer = ask(everywhere, lambda box: box.relays.propose(address), home=Home.SPARED)
    if everywhere.json:
        print_json(answer.json)
    else:
        from pillarbox.cli.terminal import console
        from pillarbox.cli.views.report import show_proposals

        show_proposals(answer, console())
    return Exit.DONE if answer.proposals else Exit.NOT_WELL


@app.command
def resume(name: str, /, *, everywhere: Everywhere = NOTHING) -> None:
    """Let a relay that rests go on now: one delivery probes it, and the rest follows."""
    _show(ask(everywhere, lambda box: box.relays.resume(name)), everywhere)


@app.command
def remove(name: str, /, *, everywhere: Everywhere = NOTHING) -> None:
    """Remove a relay. Mail that waits for it is held."""

    async def work(box: Pillarbox) -> bool:
        waiting = [
            bool((await box.messages.list(relay=name, state=state, limit=1)).items)
            for state in _WAITING
        ]
        await box.relays.remove(name)
        return any(waiting)

    has_held = ask(everywhere, work)
    if everywhere.json:
        print_json({"name": name, "removed": True})
    else:
        held = " Mail that waited for it is held: pillarbox message list --state held"
        print(f"Removed {name}.{held if has_held else ''}")


async def asking_again(work: Callable[[dict[str, str]], Awaitable[T]]) -> T:
    """
    Do it. When nothing but sign-in is missing, ask the person at the terminal and do it again.

    So everything else is checked before somebody types a password. Raises what work raises.
    """
    try:
        return await work({})
    except Rejected as refused:
        more = _typed(refused.problems)
        if not more:
            raise
    except Invalid as refused:
        more = _typed([refused])
        if not more:
            raise
    return await asking_again(lambda further: work({**more, **further}))


_ASKED: dict[str, Callable[[], str | None]] = {
    "username": lambda: ask_openly("User name"),
    "password": lambda: ask_for("Password of the relay account"),
    "client_secret": lambda: ask_for("Client secret of the application"),
}


def _typed(problems: Sequence[Invalid]) -> dict[str, str]:
    """What a person types for the fields that are missing; nothing if other ones are wrong."""
    fields = {each.field for each in problems}
    if not fields or not fields <= set(_ASKED):
        return {}
    if not all(_is_missing(each) for each in problems):
        return {}
    told = {name: ask_one() for name, ask_one in _ASKED.items() if name in fields}
    return {name: text for name, text in told.items() if text}


def _is_missing(problem: Invalid) -> bool:
    return str(problem).startswith("enter the ")


def _announced(password: PasswordFrom) -> dict[str, str]:
    return {
        name: given
        for name, given in (("password", password.read()), ("client_secret", password.client()))
        if given is not None
    }


def _show(relay: Any, everywhere: Everywhere) -> None:
    if everywhere.json:
        return print_json(relay.json)
    from pillarbox.cli.terminal import console
    from pillarbox.cli.views.relay import show

    return show(relay, console())
