"""
Where mail goes: a server, our account on it, and its manners. Values only, no secrets.

They come from relays/change.py, which refuses what cannot work. Secrets stand apart, in
slots, each sealed for the destination that relays/binding.py spells out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from pillarbox.base.errors import Unusable
from pillarbox.base.secret import Secret
from pillarbox.mail.address import Address
from pillarbox.mail.mailbox import Mailbox
from pillarbox.oauth.client import Authentication, Grant
from pillarbox.relays.ehlo import FALLBACK_EHLO_NAME
from pillarbox.smtp.endpoint import (
    Credentials,
    Deadlines,
    Endpoint,
    Mechanism,
    Proxy,
    ProxyKind,
    TlsMode,
    Trust,
)

Json = dict[str, Any]
"""An object of JSON types."""


class RelayKind(Enum):
    SMTP = "smtp"
    SANDBOX = "sandbox"  # keeps mail for people to look at, and sends nothing
    PICKUP = "pickup"  # writes each message as a file into a folder


class Auth(Enum):
    """How we say who we are."""

    NONE = "none"
    PASSWORD = "password"  # noqa: S105 - the name of the method, not a password
    OAUTH2 = "oauth2"  # with access tokens: see token_fields.py


class Slot(StrEnum):
    """The secrets a relay may have. Each is sealed on its own: see relays/binding.py."""

    PASSWORD = "password"  # noqa: S105 - the name of the slot
    PROXY_PASSWORD = "proxy_password"  # noqa: S105 - the name of the slot
    CLIENT_KEY = "client_key"  # PEM
    CLIENT_SECRET = "client_secret"  # noqa: S105 - the name of the slot
    SIGNING_KEY = "signing_key"  # PEM; signs assertions for the token endpoint


class OtherSenders(Enum):
    """What happens to mail from somebody who is not among a relay's senders."""

    REFUSE = "refuse"
    REWRITE = "rewrite"  # it goes out from the relay's own sender, answers go to its author


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What the slots hold, opened."""

    password: Secret | None = None
    proxy_password: Secret | None = None
    client_key: Secret | None = None
    client_secret: Secret | None = None
    signing_key: Secret | None = None


_RFC = Deadlines()


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """
    Everything about a relay but its name and its secrets.

    Field names are the names in JSON, but for `from_`. host is in lower-case A-labels or
    an IP address without brackets. authorities and client_certificate are PEM text, pin
    is the SHA-256 of the certificate in hexadecimal, minimum_tls is "1.2" or "1.3".
    """

    kind: RelayKind = RelayKind.SMTP
    preset: str | None = None  # whose facts these are; also picks the sentences in replies.toml

    host: str = ""
    port: int = 465
    tls: TlsMode = TlsMode.IMPLICIT
    auth: Auth = Auth.NONE
    username: str | None = None
    mechanism: Mechanism | None = None  # None: the strongest one that is offered

    provider: str | None = None  # who gives tokens: an id of oauth/providers.toml
    grant: Grant | None = None
    client_id: str | None = None
    client_authentication: Authentication | None = None  # None: as the provider has it
    client_secret_expires_on: str | None = None  # a day, to be warned before it
    tenant_id: str | None = None
    authorize_url: str | None = None
    token_url: str | None = None
    device_url: str | None = None
    revocation_url: str | None = None
    issuer: str | None = None
    scopes: str | None = None  # with spaces; None: those that the provider wants for mail
    authorize_parameters: tuple[tuple[str, str], ...] = ()
    subject: str | None = None  # whom a service account acts for; None: username
    key_id: str | None = None
    signing_certificate: str | None = None

    from_: Mailbox | None = None
    reply_to: Mailbox | None = None
    headers: tuple[tuple[str, str], ...] = ()
    reverse_path: str | None = None  # an address; None: that of the sender
    senders: tuple[str, ...] = ()  # addresses and domains; none: everybody
    other_senders: OtherSenders = OtherSenders.REFUSE
    bcc: tuple[str, ...] = ()  # addresses that get a copy of everything
    recipients: tuple[str, ...] = ()  # addresses and domains; none: everybody
    redirect_to: str | None = None  # an address that gets what is for nobody in recipients
    max_octets: int | None = None  # of a composed message

    authorities: str | None = None
    pin: str | None = None
    server_name: str | None = None
    minimum_tls: str = "1.2"
    client_certificate: str | None = None

    ehlo_name: str | None = None
    local_address: str | None = None
    proxy_kind: ProxyKind | None = None
    proxy_host: str | None = None
    proxy_port: int | None = None
    proxy_username: str | None = None

    connect_timeout_seconds: float = _RFC.connect
    greeting_timeout_seconds: float = _RFC.greeting
    command_timeout_seconds: float = _RFC.command
    final_timeout_seconds: float = _RFC.final

    max_connections: int = 5
    messages_per_minute: int | None = None
    messages_per_connection: int = 100
    connection_age_seconds: int = 300

    directory: str | None = None  # pickup: an absolute path

    def to_json(self) -> Json:
        """
        What differs from the defaults, in JSON types.

        Where secrets go is always written down: a default that changes in a later version
        must not move anybody's mail.
        """
        written = _ALWAYS[self.kind]
        return {
            json_name(each.name): _encode(each.name, getattr(self, each.name))
            for each in dataclasses.fields(self)
            if each.name in written or getattr(self, each.name) != each.default
        }

    def shown(self, name: str) -> Any:
        """One field by its JSON name, in JSON types."""
        return _encode(attribute(name), getattr(self, attribute(name)))

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> RelaySettings:
        """Reads what to_json wrote. Raises Unusable when a newer version wrote it."""
        if unknown := sorted(set(fields) - FIELD_NAMES):
            raise Unusable(
                f"a relay has settings that this version does not know ({', '.join(unknown)})."
                " Start the version that wrote them"
            )
        return cls(**{attribute(name): _decode(name, value) for name, value in fields.items()})


_ALWAYS = {
    RelayKind.SMTP: frozenset({"kind", "host", "port", "tls", "auth"}),
    RelayKind.SANDBOX: frozenset({"kind"}),
    RelayKind.PICKUP: frozenset({"kind", "directory"}),
}

_DECODERS: dict[str, Callable[[Any], Any]] = {
    "kind": RelayKind,
    "tls": TlsMode,
    "auth": Auth,
    "mechanism": Mechanism,
    "grant": Grant,
    "client_authentication": Authentication,
    "proxy_kind": ProxyKind,
    "from": Mailbox.parse,
    "reply_to": Mailbox.parse,
    "headers": lambda headers: tuple(headers.items()),
    "senders": tuple,
    "other_senders": OtherSenders,
    "bcc": tuple,
    "recipients": tuple,
    "authorize_parameters": lambda parameters: tuple(parameters.items()),
}


def json_name(attribute: str) -> str:
    """The field in JSON: `from` is a keyword of Python and nowhere else."""
    return attribute.removesuffix("_")


def attribute(name: str) -> str:
    """The other way round."""
    return "from_" if name == "from" else name


FIELD_NAMES = frozenset(json_name(each.name) for each in dataclasses.fields(RelaySettings))


def endpoint(
    settings: RelaySettings,
    secrets: Secrets,
    *,
    ehlo_name: str = FALLBACK_EHLO_NAME,
    allow_private: bool = True,
    allow_networks: tuple[str, ...] = (),
) -> Endpoint:
    """
    Where a session goes. `ehlo_name` is used unless the relay has its own.

    A tenant's relay does not get allow_private; allow_networks are CIDRs it may reach all
    the same.
    """
    return Endpoint(
        host=settings.host,
        port=settings.port,
        tls=settings.tls,
        trust=_trust(settings, secrets),
        proxy=_proxy(settings, secrets),
        ehlo_name=settings.ehlo_name or ehlo_name,
        local_address=settings.local_address,
        deadlines=_deadlines(settings),
        allow_private=allow_private,
        allow_networks=allow_networks,
    )


def usual_reverse_path(settings: RelaySettings) -> Address | None:
    """MAIL FROM of mail that says nothing about its sender, or None where that is unknown."""
    if settings.reverse_path is not None:
        return Address.parse(settings.reverse_path)
    return settings.from_.address if settings.from_ else None


def credentials(
    settings: RelaySettings, secrets: Secrets, token: Secret | None = None
) -> Credentials | None:
    """
    Who we are there; None where nobody asks. token is the access token of auth oauth2.

    Raises Unusable when the password is gone, or no token came along.
    """
    if settings.auth is Auth.NONE:
        return None
    if settings.auth is Auth.OAUTH2:
        if settings.username is None or token is None:
            raise Unusable("this relay has no access token. Connect it")
        return Credentials(
            username=settings.username, secret=token, is_token=True, mechanism=settings.mechanism
        )
    if settings.username is None or secrets.password is None:
        raise Unusable("this relay has no password. Enter it again")
    return Credentials(
        username=settings.username, secret=secrets.password, mechanism=settings.mechanism
    )


def _trust(settings: RelaySettings, secrets: Secrets) -> Trust:
    return Trust(
        authorities=settings.authorities,
        pin=settings.pin,
        server_name=settings.server_name,
        minimum_version=settings.minimum_tls,
        client_certificate=settings.client_certificate,
        client_key=secrets.client_key,
    )


def _proxy(settings: RelaySettings, secrets: Secrets) -> Proxy | None:
    if not (settings.proxy_kind and settings.proxy_host and settings.proxy_port):
        return None
    return Proxy(
        kind=settings.proxy_kind,
        host=settings.proxy_host,
        port=settings.proxy_port,
        username=settings.proxy_username,
        password=secrets.proxy_password,
    )


def _deadlines(settings: RelaySettings) -> Deadlines:
    return Deadlines(
        connect=settings.connect_timeout_seconds,
        greeting=settings.greeting_timeout_seconds,
        command=settings.command_timeout_seconds,
        final=settings.final_timeout_seconds,
    )


def _encode(name: str, value: object) -> object:
    match value:
        case Enum():
            return value.value
        case Mailbox():
            return str(value)
        case tuple():
            return dict(value) if name == "headers" else list(value)
    return value


def _decode(name: str, value: Any) -> Any:
    decoder = _DECODERS.get(name)
    return value if decoder is None or value is None else decoder(value)
