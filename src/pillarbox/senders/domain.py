"""A domain that we sign for (DKIM), and the life of its keys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from pillarbox.base.errors import Invalid
from pillarbox.mail.address import Address
from pillarbox.mail.dkim_record import KeyKind, name_of

_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class KeyState(Enum):
    """A key waits for its record, signs, and is retired by the next one of its kind."""

    WAITING = "waiting"
    SIGNING = "signing"
    RETIRED = "retired"  # its record stays published while signed mail is on its way


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderKey:
    """One key, without its private half. record is the text to publish at `name`."""

    id: str
    domain: str
    selector: str
    kind: KeyKind
    state: KeyState
    record: str
    created_at: datetime
    changed_at: datetime

    @property
    def name(self) -> str:
        return name_of(self.selector, self.domain)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderDomain:
    """keys are those that wait first."""

    id: str
    domain: str
    created_at: datetime
    keys: tuple[SenderKey, ...]

    @property
    def in_use(self) -> tuple[SenderKey, ...]:
        """What signs, or will as soon as it is published."""
        return tuple(key for key in self.keys if key.state is not KeyState.RETIRED)


def read_domain(text: str) -> str:
    """In lower case and A-labels. Raises Invalid."""
    try:
        domain = Address.parse(f"x@{text.strip().rstrip('.')}").domain
    except Invalid:
        raise Invalid(f"“{text}” is not a domain name", field="domain") from None
    if domain.startswith("[") or "." not in domain:
        raise Invalid(f"“{text}” is not a domain that has name servers", field="domain")
    return domain


def read_selector(text: str) -> str:
    """One label in lower case, RFC 6376 §3.1. Raises Invalid."""
    selector = text.strip().lower()
    if not _SELECTOR.fullmatch(selector):
        told = "a selector is one word of letters, digits and hyphens, up to 63 of them"
        raise Invalid(told, field="selector")
    return selector


def above(domain: str) -> tuple[str, ...]:
    """The domain and those above it, the nearest first: any of them may sign for it."""
    labels = domain.split(".")
    return tuple(".".join(labels[at:]) for at in range(len(labels) - 1))
