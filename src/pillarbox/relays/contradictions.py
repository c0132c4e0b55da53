"""Settings that cannot be true together. Each is refused before it is saved, with its cure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator

from pillarbox.base.dial import is_loopback
from pillarbox.base.errors import Invalid
from pillarbox.relays.addresses import covers
from pillarbox.relays.defaults import TLS_OF_PORT, WHO_WE_ARE, agree
from pillarbox.relays.relay import Auth, OtherSenders, RelayKind, RelaySettings, Slot, json_name
from pillarbox.relays.token_fields import missing_token_secrets, token_contradictions
from pillarbox.smtp.endpoint import Mechanism, TlsMode

_DEFAULTS = {each.name: each.default for each in dataclasses.fields(RelaySettings)}
_OF_EVERY_KIND = frozenset({"kind", *WHO_WE_ARE})
_OF_PICKUP = _OF_EVERY_KIND | {"directory"}
MAX_COPIES = 5  # of every message
_NEED_TLS = ("authorities", "pin", "server_name", "minimum_tls", "client_certificate")
_TOKENS = (Mechanism.XOAUTH2, Mechanism.OAUTHBEARER)


def contradictions(settings: RelaySettings) -> Iterator[Invalid]:
    """Everything that cannot be true together, but for missing secrets."""
    yield from _senders(settings)
    match settings.kind:
        case RelayKind.SANDBOX:
            yield from _foreign(settings, _OF_EVERY_KIND, "a sandbox relay keeps mail here")
        case RelayKind.PICKUP:
            yield from _foreign(settings, _OF_PICKUP, "a pickup relay writes into a folder")
            if settings.directory is None:
                yield Invalid("enter the folder that messages are written to", field="directory")
        case RelayKind.SMTP:
            yield from _smtp(settings)


def missing_secrets(settings: RelaySettings, held: Collection[Slot]) -> Iterator[Invalid]:
    """Secrets without which a session must fail. `held` are the slots that will have one."""
    yield from missing_token_secrets(settings, held)
    if settings.auth is Auth.PASSWORD and Slot.PASSWORD not in held:
        yield Invalid("enter the password, or set auth to none", field="password")
    if settings.client_certificate is not None and Slot.CLIENT_KEY not in held:
        yield Invalid("enter the key that belongs to client_certificate", field="client_key")


def _foreign(settings: RelaySettings, own: Collection[str], why: str) -> Iterator[Invalid]:
    """Settings that this kind of relay has no use for."""
    for name, default in _DEFAULTS.items():
        if name not in own and getattr(settings, name) != default:
            field = json_name(name)
            yield Invalid(f"{why}: it has no {field}. Leave it out", field=field)


def _smtp(settings: RelaySettings) -> Iterator[Invalid]:
    if not settings.host:
        yield Invalid("enter the server's host name, or choose a preset", field="host")
    if settings.directory is not None:
        yield Invalid("only a pickup relay has a folder. Leave it out", field="directory")
    yield from _transport(settings)
    yield from _trust(settings)
    yield from _sign_in(settings)
    yield from token_contradictions(settings)
    yield from _proxy(settings)


def _senders(settings: RelaySettings) -> Iterator[Invalid]:
    own, rewrites = settings.from_, settings.other_senders is OtherSenders.REWRITE
    if rewrites and not settings.senders:
        yield Invalid(
            "this is for mail from others than the senders. Say in senders who may send as"
            " they are, or leave it out",
            field="other_senders",
        )
    if rewrites and own is None:
        yield Invalid("enter the sender that other mail goes out from", field="from")
    if len(settings.bcc) > MAX_COPIES:
        yield Invalid(
            f"at most {MAX_COPIES} addresses get a copy of everything. Use a list server",
            field="bcc",
        )
    if own is not None and settings.senders and not covers(settings.senders, own.address):
        yield Invalid(
            f"the relay's own sender, {own.address}, is not among them. Add it, or its domain",
            field="senders",
        )


def _transport(settings: RelaySettings) -> Iterator[Invalid]:
    port, tls = settings.port, settings.tls
    if agree(port, tls):
        return
    if TLS_OF_PORT[port] is TlsMode.STARTTLS:
        yield Invalid(
            f"port {port} begins in the clear: set tls to starttls, or use port 465", field="tls"
        )
    else:
        yield Invalid(
            f"port {port} speaks TLS from the first octet: set tls to implicit, or use port"
            f" {587 if tls is TlsMode.STARTTLS else 25}",
            field="tls",
        )


def _trust(settings: RelaySettings) -> Iterator[Invalid]:
    if settings.tls is TlsMode.NONE:
        for name in _NEED_TLS:
            if getattr(settings, name) != _DEFAULTS[name]:
                yield Invalid(f"without TLS there is no use for {name}. Leave it out", field=name)
    if settings.pin is not None and settings.authorities is not None:
        yield Invalid(
            "with a pin no authority is asked. Give the pin or the authorities, not both",
            field="pin",
        )


def _sign_in(settings: RelaySettings) -> Iterator[Invalid]:
    if settings.auth is Auth.NONE:
        for name in ("username", "mechanism"):
            if getattr(settings, name) is not None:
                yield Invalid(
                    f"with auth none there is no use for {name}. Set auth to password,"
                    " or leave it out",
                    field=name,
                )
        return
    if settings.auth is Auth.PASSWORD:
        yield from _password(settings)
    if settings.tls is TlsMode.NONE and not _stays_here(settings):
        what = "password" if settings.auth is Auth.PASSWORD else "access token"
        yield Invalid(
            f"the {what} would cross the network in the clear: set tls to implicit or"
            " starttls. Only a server on this machine may do without",
            field="tls",
        )


def _password(settings: RelaySettings) -> Iterator[Invalid]:
    if settings.username is None:
        yield Invalid("enter the user name, or set auth to none", field="username")
    if settings.mechanism in _TOKENS:
        yield Invalid(
            f"{settings.mechanism.value} takes a token, not a password. Leave it out, or set auth"
            " to oauth2",
            field="mechanism",
        )


def _stays_here(settings: RelaySettings) -> bool:
    return is_loopback(settings.host) and settings.proxy_kind is None


def _proxy(settings: RelaySettings) -> Iterator[Invalid]:
    if settings.proxy_kind is None:
        for name in ("proxy_host", "proxy_port", "proxy_username"):
            if getattr(settings, name) is not None:
                yield Invalid(f"{name} needs a proxy_kind: http or socks5", field="proxy_kind")
                return
        return
    if settings.proxy_host is None:
        yield Invalid("enter the proxy's host, or leave proxy_kind out", field="proxy_host")
    if settings.proxy_port is None:
        yield Invalid("enter the proxy's port", field="proxy_port")
