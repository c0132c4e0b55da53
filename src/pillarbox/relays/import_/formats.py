"""
Other systems' mail settings, in the words of a relay, with what behaves differently here.

A format is a function of what the other system stores. What comes out is what a person could
have typed: it is checked and completed like that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from pillarbox.base.errors import Invalid
from pillarbox.base.reference import is_reference
from pillarbox.relays.relay import Slot

Json = Mapping[str, Any]

_OPPORTUNISTIC = (
    "STARTTLS was used if it was offered; here it is required, so nobody can take it away"
)
_UNVERIFIED = (
    "certificates were not verified; here they always are. Give authorities or a pin if this"
    " server's certificate is its own"
)
_TOKENS = "tokens are not taken over: set auth to oauth2 and connect the relay again"


@dataclass(frozen=True, slots=True)
class Imported:
    """Settings by JSON name, as if they were typed, and sentences for whoever imports them."""

    fields: dict[str, Any]
    notes: tuple[str, ...] = ()


def imported(name: str, settings: object) -> Imported:
    """Raises Invalid for a format or a shape that we do not know."""
    read = FORMATS.get(name)
    if read is None:
        raise Invalid(f"“{name}” is not one of: {', '.join(FORMATS)}", field="format")
    if name == "url" and isinstance(settings, str):
        return _url({"url": settings})
    if not isinstance(settings, Mapping) or name == "url":
        raise Invalid("these are not the settings of that system", field="settings")
    found = read(settings)
    said = {each: value for each, value in found.fields.items() if value not in (None, "", {}, [])}
    return Imported(said, found.notes)


def places_to_confirm(found: Imported, beside: Mapping[str, Any]) -> Iterator[Invalid]:
    """
    Secrets that the settings read on this machine, and that nobody gave beside them: a file from
    somebody else could send any secret that is kept here to a host of its own.
    """
    for slot in Slot:
        place = found.fields.get(slot.value)
        if slot.value in beside or not isinstance(place, str) or not is_reference(place.strip()):
            continue
        yield Invalid(
            f"these settings take this secret from {place} on this machine, for the host that"
            " they name. Nothing was made. If you mean that, give it beside the settings:"
            f" pillarbox relay import FILE --set {slot.value}={place}",
            field=slot.value,
        )


def _pillarbox(settings: Json) -> Imported:
    return Imported(dict(settings))


def _umbraco(settings: Json) -> Imported:
    """Umbraco:CMS:Global:Smtp of appsettings.json, alone or with the levels above it."""
    smtp: Json = settings
    for level in ("Umbraco", "CMS", "Global", "Smtp"):
        inner = smtp.get(level)
        smtp = inner if isinstance(inner, Mapping) else smtp
    if smtp.get("PickupDirectoryLocation"):
        there = {"kind": "pickup", "directory": smtp["PickupDirectoryLocation"]}
        return Imported(there | {"from": smtp.get("From")})
    security = str(smtp.get("SecureSocketOptions") or "Auto")
    tls = {"None": "none", "SslOnConnect": "implicit"}.get(security, "starttls")
    is_loose = security in ("Auto", "StartTlsWhenAvailable")
    if is_loose and smtp.get("Port") == 465:
        tls = "implicit"
    fields = {
        "host": smtp.get("Host"),
        "port": smtp.get("Port") or None,
        "tls": tls,
        "username": smtp.get("Username"),
        "password": smtp.get("Password"),
        "from": smtp.get("From"),
    }
    return Imported(fields, (_OPPORTUNISTIC,) if is_loose and tls == "starttls" else ())


def _thingsboard(settings: Json) -> Imported:
    """The value of the `mail` settings; older ones have texts for numbers and switches."""
    tls = "starttls" if _is_on(settings, "enableTls") else "none"
    fields: dict[str, Any] = {
        "host": settings.get("smtpHost"),
        "port": settings.get("smtpPort"),
        "tls": "implicit" if settings.get("smtpProtocol") == "smtps" else tls,
        "username": settings.get("username"),
        "password": settings.get("password"),
        "from": settings.get("mailFrom"),
    }
    notes = ["the timeout covered reading only; the four timeouts here are for whole phases"]
    if _is_on(settings, "enableProxy"):
        fields |= {"proxy_kind": "http", "proxy_host": settings.get("proxyHost")}
        fields |= {"proxy_port": settings.get("proxyPort")}
        fields |= {"proxy_username": settings.get("proxyUser")}
        fields |= {"proxy_password": settings.get("proxyPassword")}
    if _is_on(settings, "enableOauth2"):
        notes.append(_TOKENS)
    return Imported(fields, tuple(notes))


def _bold_bi(settings: Json) -> Imported:
    """The body of its settings API: `SMTPServer`, `SenderEmailAddress` and so on."""
    if settings.get("EmailAccount") == "Microsoft365":
        raise Invalid(
            "this account sends by Microsoft Graph and has no server. Add a relay with"
            " preset microsoft-365 and auth oauth2 instead",
            field="settings/EmailAccount",
        )
    name, address = settings.get("SenderName"), settings.get("SenderEmailAddress")
    is_anonymous = settings.get("AuthenticationType") == "Anonymous"
    fields = {
        "host": settings.get("SMTPServer"),
        "port": settings.get("SMTPPort"),
        "auth": "none" if is_anonymous else None,
        "username": None if is_anonymous else settings.get("UserName"),
        "password": None if is_anonymous else settings.get("Password"),
        "from": f"{name} <{address}>" if name and address else address,
    }
    return Imported(fields, ("EnableSSL meant either way of TLS; here the port decides, or tls",))


def _nodemailer(settings: Json) -> Imported:
    """The options of a transport, which are those of the Logto SMTP connector too."""
    auth, tls = _object(settings, "auth"), _object(settings, "tls")
    mode, notes = _mode(settings)
    fields = {
        "host": settings.get("host"),
        "port": settings.get("port"),
        "tls": mode,
        "username": auth.get("user"),
        "password": auth.get("pass"),
        "from": settings.get("fromEmail"),
        "reply_to": settings.get("replyTo"),
        "headers": settings.get("customHeaders"),
        "ehlo_name": settings.get("name"),
        "local_address": settings.get("localAddress"),
        "server_name": settings.get("servername") or tls.get("servername"),
        "authorities": tls.get("ca"),
        "connect_timeout_seconds": _seconds(settings.get("connectionTimeout"), 300),
        "greeting_timeout_seconds": _seconds(settings.get("greetingTimeout"), 900),
        "command_timeout_seconds": _seconds(settings.get("socketTimeout"), 900),
    }
    if tls.get("rejectUnauthorized") is False:
        notes += (_UNVERIFIED,)
    if str(auth.get("type", "")).lower() == "oauth2" or auth.get("refreshToken"):
        notes += (_TOKENS,)
    return Imported(fields, notes)


def _is_on(settings: Json, name: str) -> bool:
    """A switch, also as a text. Raises Invalid."""
    value = settings.get(name)
    if value is not None and not isinstance(value, bool | int | str):
        raise Invalid("this is true or false", field=f"settings/{name}")
    return value in (True, "true")


def _object(settings: Json, name: str) -> Json:
    """What belongs together under one name; nothing when it is not there. Raises Invalid."""
    value = settings.get(name) or {}
    if not isinstance(value, Mapping):
        raise Invalid("this is an object of settings", field=f"settings/{name}")
    return value


def _mode(settings: Json) -> tuple[str | None, tuple[str, ...]]:
    if settings.get("secure") or (settings.get("secure") is None and settings.get("port") == 465):
        return "implicit", ()
    if settings.get("ignoreTLS"):
        return "none", ()
    return "starttls", () if settings.get("requireTLS") else (_OPPORTUNISTIC,)


def _seconds(milliseconds: object, most: int) -> float | None:
    """Rounded into what is taken here; 0 meant the other system's own default."""
    if not isinstance(milliseconds, int | float) or not milliseconds:
        return None
    return min(max(min(milliseconds, most * 1000) / 1000, 5), most)


def _url(settings: Json) -> Imported:
    """`smtp://user:password@host:587` or `smtps://…`; special characters are %-encoded."""
    try:
        parts = urlsplit(str(settings["url"]).strip())
        port = parts.port
    except ValueError:
        raise Invalid("this is not an address such as smtps://host:465", field="settings") from None
    if parts.scheme not in ("smtp", "smtps"):
        raise Invalid("the address begins with smtp:// or smtps://", field="settings")
    fields = {
        "host": parts.hostname,
        "port": port,
        "tls": "implicit" if parts.scheme == "smtps" or port == 465 else "starttls",
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }
    return Imported({each: value for each, value in fields.items() if value})


FORMATS: dict[str, Callable[[Json], Imported]] = {
    "pillarbox": _pillarbox,
    "umbraco": _umbraco,
    "bold-bi": _bold_bi,
    "thingsboard": _thingsboard,
    "logto": _nodemailer,
    "nodemailer": _nodemailer,
    "url": _url,
}
"""By the name that a person types."""
