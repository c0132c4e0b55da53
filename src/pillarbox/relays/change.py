"""
What somebody wants a relay to become, as they typed it.

A field that is absent stays as it is. Null, or nothing in a form, goes back to the default.
A secret is kept, replaced or cleared, and is never compared with a mask.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from pillarbox.base import reference
from pillarbox.base.errors import Invalid, Rejected
from pillarbox.base.secret import Secret
from pillarbox.relays.certificates import ended, place_of_key, public_key_of
from pillarbox.relays.contradictions import contradictions, missing_secrets
from pillarbox.relays.defaults import FOLLOWING, settle
from pillarbox.relays.fields import READERS, read_name
from pillarbox.relays.relay import Auth, RelayKind, RelaySettings, Slot, attribute
from pillarbox.relays.token_fields import why_no_token_secret


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave the stored secret as it is."""


@dataclass(frozen=True, slots=True)
class Replace:
    """
    Store this one. public_key is a private key's public half (DER), to match a certificate.

    With a reference nothing is stored but where the secret is: see base/reference.py.
    """

    secret: Secret
    public_key: bytes | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget the stored secret."""


SecretChange = Keep | Replace | Clear

PASSPHRASE = "client_key_passphrase"  # noqa: S105 - the name of the field
"""Opens client_key as it comes in, and is not kept."""

_SLOTS = frozenset(slot.value for slot in Slot)
_DEFAULTS = {each.name: each.default for each in fields(RelaySettings)}
_KNOWN = (*READERS, *Slot, PASSPHRASE, "name", "consent")
_OTHER_WORDS = {
    "server": "host",
    "hostname": "host",
    "smtp_host": "host",
    "smtp_port": "port",
    "ssl": "tls",
    "secure": "tls",
    "encryption": "tls",
    "starttls": "tls",
    "security": "tls",
    "user": "username",
    "login": "username",
    "pass": "password",
    "sender": "from",
    "from_address": "from",
    "timeout": "command_timeout_seconds",
    "ca": "authorities",
    "service": "preset",
    "type": "kind",
}
_UNSAYABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_KEYS = (Slot.CLIENT_KEY, Slot.SIGNING_KEY)
_LONGEST = {slot: 65_536 if slot in _KEYS else 4096 for slot in Slot}  # characters
_MASK = re.compile(r"[•●∙·⁕＊…]+|\*{3,}|\W*(redacted|hidden|masked|unchanged)\W*|Secret\(…\)", re.I)


@dataclass(frozen=True, slots=True)
class RelayChange:
    """
    A change, read field by field. Build it with `read`.

    values holds what was typed, by JSON name; a field that was null has its default, or
    None where the default follows other fields. secrets has an entry for every slot.
    faults are the fields that could not be read, blank those that were null or nothing.
    """

    name: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[Slot, SecretChange] = field(default_factory=dict)
    faults: tuple[Invalid, ...] = ()
    forgets_consent: bool = False
    blank: frozenset[str] = frozenset()

    @classmethod
    def read(cls, typed: Mapping[str, object]) -> RelayChange:
        """Never raises: what cannot be read is among `problems`."""
        faults: list[Invalid] = []
        values: dict[str, Any] = {}
        secrets: dict[Slot, SecretChange] = dict.fromkeys(Slot, Keep())
        forgets = False
        for name, raw in typed.items():
            try:
                if name == PASSPHRASE:
                    _refuse_lonely_passphrase(raw, typed)
                elif name == "consent":
                    forgets = _read_forgetting(raw)
                elif name in _SLOTS:
                    secrets[Slot(name)] = _read_secret(Slot(name), raw, typed.get(PASSPHRASE))
                else:
                    values[name] = _read_value(name, raw)
            except Invalid as fault:
                faults.append(fault.under(name))
        blank = frozenset(name for name in values if _is_nothing(typed[name]))
        return cls(values.pop("name", None), values, secrets, tuple(faults), forgets, blank)

    def problems(
        self,
        current: RelaySettings | None = None,
        *,
        stored: Collection[Slot] = (),
        secrets_may_follow: bool = False,
        now: datetime | None = None,
    ) -> tuple[Invalid, ...]:
        """
        Everything that stands against it, each with its field.

        `stored` are the slots that hold a secret now. `secrets_may_follow` is for imports,
        which bring none: the relay then waits for them. `now` looks at the dates of
        certificates that come with the change.
        """
        settled = settle(self.values, current, signs_in=self._brings(Slot.PASSWORD))
        rules = [*contradictions(settled), *self.misplaced(settled)]
        rules += self._over(now) if now else ()
        if not secrets_may_follow:
            rules += missing_secrets(settled, self.held(stored))
        unreadable = {fault.field for fault in self.faults}
        if "preset" in unreadable:
            unreadable.add("host")  # it would have come with the preset
        if "client_certificate" in unreadable:
            unreadable.add("client_key")  # nobody can say whether it fits
        return (*self.faults, *(rule for rule in rules if rule.field not in unreadable))

    def apply_to(self, current: RelaySettings | None = None) -> RelaySettings:
        """
        The settings as they would be. Raises Rejected when they contradict themselves.

        Whether a secret is missing is for `problems` to say: these settings have none.
        """
        if problems := self.problems(current, secrets_may_follow=True):
            raise Rejected(problems)
        return settle(self.values, current, signs_in=self._brings(Slot.PASSWORD))

    def certificate_faults(self, now: datetime) -> list[Invalid]:
        """What stands against its certificates and their key, seen for themselves."""
        chain = self.values.get("client_certificate")
        shown = replace(RelaySettings(), client_certificate=chain)
        key = [each for each in self.misplaced(shown) if each.field == Slot.CLIENT_KEY.value]
        return [*self.faults, *self._over(now), *key]

    def _over(self, now: datetime) -> Iterator[Invalid]:
        for name in ("authorities", "client_certificate"):
            pem = self.values.get(name)
            if pem is not None and (why := ended(pem, now)):
                yield Invalid(why, field=name)

    def _brings(self, slot: Slot) -> bool:
        return isinstance(self.secrets.get(slot), Replace)

    @property
    def references(self) -> dict[Slot, str]:
        """The slots whose secret is to be read elsewhere, and where."""
        return {
            slot: wish.reference
            for slot, wish in self.secrets.items()
            if isinstance(wish, Replace) and wish.reference is not None
        }

    @property
    def touched(self) -> tuple[Slot, ...]:
        """The slots that somebody says something about."""
        return tuple(slot for slot, wish in self.secrets.items() if not isinstance(wish, Keep))

    def held(self, stored: Collection[Slot]) -> frozenset[Slot]:
        """The slots that hold a secret afterwards, unless the destination changes under it."""
        kept = {slot for slot in stored if not isinstance(self.secrets.get(slot), Clear)}
        return frozenset(kept | {slot for slot in Slot if self._brings(slot)})

    def misplaced(self, settled: RelaySettings) -> Iterator[Invalid]:
        """Secrets that nothing would use, and a key that is not the certificate's."""
        for slot, change in self.secrets.items():
            if isinstance(change, Replace) and (why := _why_unused(slot, change, settled)):
                yield Invalid(why, field=slot.value)


def _read_value(name: str, raw: object) -> Any:
    if name == "name":
        return read_name(raw)
    if name not in READERS:
        raise Invalid(f"there is no setting “{name}”{_meant(name)}")
    if _is_nothing(raw):
        return None if name in FOLLOWING else _DEFAULTS[attribute(name)]
    return READERS[name](raw)


def _is_nothing(raw: object) -> bool:
    """What a form sends for an empty field."""
    return raw is None or (isinstance(raw, str) and not raw.strip())


def _read_forgetting(raw: object) -> bool:
    """A consent is no setting. Null is the word of somebody who knows that it is lost."""
    if raw is None or raw == "":
        return True
    raise Invalid("a consent is given at the provider: connect the relay. Null drops what there is")


def _meant(name: str) -> str:
    word = name.casefold().replace("-", "_")
    close = (
        [_OTHER_WORDS[word]] if word in _OTHER_WORDS else difflib.get_close_matches(word, _KNOWN, 1)
    )
    return f". Did you mean {close[0]}?" if close else ""


def _refuse_lonely_passphrase(raw: object, typed: Mapping[str, object]) -> None:
    if raw is not None and not isinstance(raw, str):
        raise Invalid("a passphrase is a text")
    if raw and not typed.get(Slot.CLIENT_KEY.value):
        raise Invalid("a passphrase comes with its client_key; it is used once and not kept")


def _read_secret(slot: Slot, raw: object, passphrase: object = None) -> SecretChange:
    """Null clears, text replaces. Anything that reading a relay shows is refused."""
    if raw is None:
        return Clear()
    if not isinstance(raw, str):
        raise Invalid("a secret is a text. Leave the field out to keep the one that is stored")
    if not raw:
        raise Invalid("this is empty. Leave the field out to keep the secret, null removes it")
    most = _LONGEST[slot]
    if len(raw) > most:
        raise Invalid(f"this is longer than {most:,} characters, so it is no {slot.value}")
    if _MASK.fullmatch(raw.strip()):
        raise Invalid(
            "this is a mask, not a secret. Leave the field out to keep the one that is stored"
        )
    if reference.is_reference(raw):
        reference.check(raw)
        return Replace(Secret(""), reference=raw)
    return _read_given(slot, raw, passphrase)


def _read_given(slot: Slot, raw: str, passphrase: object) -> Replace:
    """The secret itself."""
    if slot in _KEYS:
        opener = passphrase if slot is Slot.CLIENT_KEY else None
        public_key, opened = public_key_of(raw, str(opener) if opener else None)
        return Replace(Secret(opened), public_key)
    if _UNSAYABLE.search(raw):
        raise Invalid("this has a line end or another control character in it")
    return Replace(Secret(raw))


def _why_unused(slot: Slot, change: Replace, settled: RelaySettings) -> str | None:
    if slot in (Slot.CLIENT_SECRET, Slot.SIGNING_KEY):
        return why_no_token_secret(slot, settled) or _misfit(
            change,
            settled.signing_certificate if slot is Slot.SIGNING_KEY else None,
            "signing_certificate",
        )
    match slot:
        case Slot.PASSWORD if settled.kind is not RelayKind.SMTP:
            return f"a {settled.kind.value} relay signs in nowhere. Leave the password out"
        case Slot.PASSWORD if settled.auth is not Auth.PASSWORD:
            return (
                f"with auth {settled.auth.value} nobody asks for a password. Set auth to password,"
                " or leave it out"
            )
        case Slot.PROXY_PASSWORD if settled.proxy_username is None:
            return "a proxy password needs a proxy_username"
        case Slot.CLIENT_KEY if settled.client_certificate is None:
            return "a client key needs its client_certificate"
        case Slot.CLIENT_KEY:
            return _misfit(change, settled.client_certificate, "client_certificate")
    return None


def _misfit(key: Replace, certificate: str | None, field: str) -> str | None:
    is_known = certificate is not None and key.reference is None
    place = place_of_key(certificate or "", key.public_key) if is_known else 0
    if place is None:
        return "this key belongs to another certificate"
    if place:
        return f"this key belongs to certificate {place + 1} of {field}. Put it first"
    return None
