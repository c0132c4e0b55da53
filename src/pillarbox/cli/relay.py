"""`pillarbox relay`: where mail goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from pillarbox.cli.exits import Usage
from pillarbox.cli.options import NOTHING, Everywhere, Home, ask, group, print_json
from pillarbox.cli.secrets import NO_PASSWORD, PasswordFrom

app = group("relay", "Relays: where mail goes.")


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
    """none or password."""

    username: str | None = None
    """Who we are there."""

    from_: Annotated[str | None, Parameter(name="--from", metavar="ADDRESS")] = None
    """Whom mail is from when it does not say: 'Name <a@b.example>'."""

    reply_to: Annotated[str | None, Parameter(metavar="ADDRESS")] = None
    """Where answers go."""

    default: bool = False
    """Mail that names no relay goes here."""

    set_: Annotated[tuple[str, ...], Parameter(name="--set", metavar="FIELD=VALUE")] = ()
    """Any other setting, as often as needed. An empty value goes back to the default."""

    def fields(self) -> dict[str, Any]:
        """What was said, by the names of the API. Raises Usage."""
        said = {
            name: value
            for name, value in self._flags().items()
            if value is not None and value is not False
        }
        return said | dict(_setting(each) for each in self.set_)

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
            "default": self.default,
        }


NO_SETTINGS = Settings()


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
    fields = settings.fields() | _secret(password, asked=_will_sign_in(settings))
    relay = ask(everywhere, lambda box: box.relays.add(name, **fields), home=Home.MADE)
    _show(relay, everywhere)


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
    _show(ask(everywhere, lambda box: box.relays.get(name)), everywhere)


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
    fields = settings.fields() | _secret(password, asked=False)
    if not fields:
        raise Usage("say what to change, for example --port 587")
    _show(ask(everywhere, lambda box: box.relays.set(name, **fields)), everywhere)


@app.command
def resume(name: str, /, *, everywhere: Everywhere = NOTHING) -> None:
    """Let a relay that rests go on now: one delivery probes it, and the rest follows."""
    _show(ask(everywhere, lambda box: box.relays.resume(name)), everywhere)


@app.command
def remove(name: str, /, *, everywhere: Everywhere = NOTHING) -> None:
    """Remove a relay. Mail that waits for it is held."""
    ask(everywhere, lambda box: box.relays.remove(name))
    if everywhere.json:
        print_json({"name": name, "removed": True})
    else:
        print(f"Removed {name}. Mail that waited for it is held.")


def _secret(password: PasswordFrom, *, asked: bool) -> dict[str, str]:
    given = password.read_or_ask("the relay account") if asked else password.read()
    return {} if given is None else {"password": given}


def _will_sign_in(settings: Settings) -> bool:
    """Whether to ask a person at a terminal; nothing typed there means no password."""
    if settings.auth is not None:
        return settings.auth == "password"
    return settings.username is not None or settings.preset is not None


def _setting(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise Usage(f"--set {text}: write it as field=value")
    if name.strip() in ("password", "proxy_password", "client_key"):
        raise Usage(f"--set {name}=…: a secret on the command line can be read by others")
    return name.strip(), value or None


def _show(relay: Any, everywhere: Everywhere) -> None:
    if everywhere.json:
        return print_json(relay.json)
    from pillarbox.cli.terminal import console
    from pillarbox.cli.views.relay import show

    return show(relay, console())
