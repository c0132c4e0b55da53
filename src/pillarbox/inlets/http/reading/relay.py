"""The fields of a relay as HTTP callers write them, and the change they make."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from pillarbox.base.errors import Invalid, Rejected
from pillarbox.inlets.http.body import Parsed, pointer
from pillarbox.inlets.http.reading.fields import FLAG, NAME, Field, Json, object_of, read_flag
from pillarbox.inlets.http.reading.message import read_mailbox
from pillarbox.mail.address import Address
from pillarbox.oauth.client import Authentication, Grant
from pillarbox.relays.change import PASSPHRASE, Clear, Keep, RelayChange
from pillarbox.relays.fields import READERS
from pillarbox.relays.relay import Auth, OtherSenders, RelayKind, Slot
from pillarbox.relays.versions import Decision
from pillarbox.smtp.endpoint import Mechanism, ProxyKind, TlsMode

_ENTITY_TAG = re.compile(r'(?:W/)?"?(\d{1,9})"?')

_CHOICES: dict[str, Any] = {
    "kind": RelayKind,
    "tls": TlsMode,
    "auth": Auth,
    "mechanism": Mechanism,
    "grant": Grant,
    "client_authentication": Authentication,
    "proxy_kind": ProxyKind,
    "other_senders": OtherSenders,
}


_WORDS: Json = {"type": ["string", "null"]}


def _schema(name: str) -> Json:
    """Settings are read leniently, as forms send them; this is what they are."""
    if name in _CHOICES:
        return {"enum": [each.value for each in _CHOICES[name]] + [None]}
    if name in ("senders", "bcc", "recipients"):
        return {"anyOf": [{"type": "array", "items": {"type": "string"}}, _WORDS]}
    if name in ("headers", "authorize_parameters"):
        return {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
    if name.endswith(("port", "_octets", "_connections", "_connection", "_minute", "_seconds")):
        return {"type": ["number", "string", "null"]}
    return {"type": ["string", "null"]}


_SETTINGS: Json = {name: _schema(name) for name in ("name", *READERS, *Slot, PASSPHRASE)}
_SETTINGS["inherits"] = _WORDS | {
    "description": "The relay whose word counts where this is silent."
}
_SETTINGS["default"] = {"type": "boolean", "description": "Mail that names no relay goes there."}
RELAY_SCHEMA: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": _SETTINGS,
    "description": "A field that is left out stays as it is, null goes back to the default. "
    "A secret is never read back: left out it is kept, null removes it.",
}
PATCH_SCHEMA: Json = RELAY_SCHEMA | {
    "properties": _SETTINGS
    | {
        "consent": {
            "type": ["null", "string"],
            "maxLength": 0,
            "description": "Null drops the consent there is: say it with a change that costs it.",
        }
    }
    | {"version": {"type": "integer", "minimum": 1, "description": "Refuse if it is another."}}
}
_SEND = "Send a test mail to that recipient, and see what comes at the end of DATA."
UNSAVED_SCHEMA: Json = RELAY_SCHEMA | {
    "properties": {
        name: each for name, each in _SETTINGS.items() if name not in ("default", "inherits")
    }
    | {"to": {"type": ["string", "null"], "description": "Also ask for this recipient."}}
    | {"send": {"type": "boolean", "description": _SEND}}
}


_SLOTS = (*(slot.value for slot in Slot), PASSPHRASE)
UNDO_SCHEMA: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        name: each for name, each in PATCH_SCHEMA["properties"].items() if name in _SLOTS
    }
    | {name: PATCH_SCHEMA["properties"][name] for name in ("version", "consent")},
    "description": "Secrets that are asked for again, because the old ones are not kept.",
}


PEM_FIELDS = ("authorities", "client_certificate")
_WITH_KEY = (*PEM_FIELDS, Slot.CLIENT_KEY.value, PASSPHRASE)
PEM_SCHEMA: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {name: PATCH_SCHEMA["properties"][name] for name in _WITH_KEY},
    "description": "Certificates and a key in PEM, as a relay takes them.",
}


def read_pem_fields(parsed: Parsed) -> RelayChange:
    """Certificates and their key, and nothing else. Faults travel in the change."""
    fields, faults = dict(parsed.fields), list(parsed.faults)
    for name in [each for each in fields if each not in _WITH_KEY]:
        del fields[name]
        known = ", ".join(_WITH_KEY)
        faults.append(
            Invalid(f"there is no such field here; there are {known}", field=_shown(name))
        )
    return read_change(fields, faults)


def read_decision(parsed: Parsed, principal: str, if_match: str | None = None) -> Decision:
    """Raises Rejected for what is not a setting; faults of settings travel in the change."""
    fields, faults = dict(parsed.fields), list(parsed.faults)
    version = read_expected_version(fields, if_match, faults)
    make_default = _taken(fields, "default", read_flag, faults)
    if make_default is False:
        faults.append(
            Invalid("to change the default, say default: true to another relay", field="default")
        )
    inherits = _read_inherits(fields, faults)
    change = read_change(fields, faults)
    return Decision(
        change=change,
        principal=principal,
        expected_version=version,
        make_default=bool(make_default),
        inherits=inherits,
    )


def _read_inherits(fields: Json, faults: list[Invalid]) -> str | Keep | Clear:
    """The relay to inherit from. Null, or nothing in a form: it inherits no longer."""
    if "inherits" not in fields:
        return Keep()
    raw = fields.pop("inherits")
    if raw is not None and not isinstance(raw, str):
        faults.append(Invalid("this is the name of a relay", field="inherits"))
        return Keep()
    return raw.strip() if raw and raw.strip() else Clear()


def read_undo(parsed: Parsed, principal: str, if_match: str | None = None) -> Decision:
    """Secrets that do not come back by themselves. Faults travel in the change."""
    fields, faults = dict(parsed.fields), list(parsed.faults)
    version = read_expected_version(fields, if_match, faults)
    for name in [each for each in fields if each not in _SLOTS and each != "consent"]:
        del fields[name]
        told = f"an undo takes nothing but secrets: {', '.join(_SLOTS)}"
        faults.append(Invalid(told, field=_shown(name)))
    change = read_change(fields, faults)
    return Decision(change=change, principal=principal, expected_version=version)


def read_expected_version(fields: Json, if_match: str | None, faults: list[Invalid]) -> int | None:
    """The version that the caller has seen, from the body or If-Match; it leaves the fields."""
    version: int | None = _taken(fields, "version", _read_version, faults)
    return version if if_match is None else _read_entity_tag(if_match, faults)


def read_change(fields: Json, faults: list[Invalid]) -> RelayChange:
    """The change with everything that was wrong before it, so that all is told at once."""
    change = RelayChange.read(fields)
    own = [Invalid(str(each), field=_shown(each.field)) for each in change.faults]
    return replace(change, faults=(*faults, *own))


def read_probe(parsed: Parsed) -> tuple[RelayChange, Address | None, bool]:
    """
    Typed settings to diagnose, a recipient to ask for, and whether to send it a test mail.

    Raises Rejected with all faults.
    """
    fields, faults = dict(parsed.fields), list(parsed.faults)
    is_sending = _taken(fields, "send", read_flag, faults)
    recipient = _taken(fields, "to", read_mailbox, faults)
    change = read_change(fields, faults)
    told = "typed values are tried with the secret itself: save a reference first"
    elsewhere = [Invalid(told, field=slot.value) for slot in change.references]
    if problems := [*change.problems(), *elsewhere]:
        raise Rejected(problems)
    return change, recipient and recipient.address, bool(is_sending)


def _taken(fields: Json, name: str, read: Any, faults: list[Invalid]) -> Any:
    raw = fields.pop(name, None)
    if raw is None:
        return None
    try:
        return read(raw)
    except Invalid as fault:
        faults.append(fault.under(name))
    except Rejected as rejected:
        faults += [fault.under(name) for fault in rejected.problems]
    return None


def _read_version(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or raw < 0:
        raise Invalid("a version is a whole number, from reading the relay")
    return int(raw)


def _read_entity_tag(text: str, faults: list[Invalid]) -> int | None:
    """The version in an If-Match header (RFC 9110 §13.1.1); `*` is any."""
    if text.strip() == "*":
        return None
    match = _ENTITY_TAG.fullmatch(text.strip())
    if match is None:
        faults.append(Invalid('If-Match is the version in quotes: "3"', field="If-Match"))
        return None
    return int(match[1])


def _shown(field: str | None) -> str | None:
    """Names that a caller made up are cut, and spelled as a pointer."""
    if field is None or field.partition("/")[0] in _SETTINGS:
        return field
    return pointer(field)


_SAVED = {
    "to": Field(read=read_mailbox, schema=NAME, about="Also ask for this recipient."),
    "from": Field(read=read_mailbox, schema=NAME, about="As this sender, not the relay's own."),
    "send": Field(read=read_flag, schema=FLAG, about=_SEND),
}
SAVED_FIELDS: dict[str, Field] = _SAVED
SAVED_SCHEMA = object_of(_SAVED)
_ADDRESS = {
    "address": Field(read=read_mailbox, schema=NAME, about="Whose mail is to be sent."),
}
ADDRESS_FIELDS: dict[str, Field] = _ADDRESS
ADDRESS_REQUIRED = ("address",)
ADDRESS_SCHEMA = object_of(_ADDRESS, ADDRESS_REQUIRED)
_LETTER = {
    "to": Field(read=read_mailbox, schema=NAME, about="Whom to write to."),
    "from": Field(read=read_mailbox, schema=NAME, about="As whom; left out: the relay's own."),
}
LETTER_FIELDS: dict[str, Field] = _LETTER
LETTER_REQUIRED = ("to",)
LETTER_SCHEMA = object_of(_LETTER, LETTER_REQUIRED)
