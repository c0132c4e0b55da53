"""One relay as it would be used: its settings, where they lead, and what to ask it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pillarbox.diagnosis.token import TokenSeen
from pillarbox.mail.address import Address
from pillarbox.relays import presets
from pillarbox.relays.presets import Preset
from pillarbox.relays.relay import RelaySettings
from pillarbox.smtp.endpoint import Credentials, Deadlines, Endpoint

PATIENCE = Deadlines(connect=8, greeting=10, command=10)
"""Seconds. A person is waiting; delivery has longer ones (RFC 5321 §4.5.3.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """
    Whom the relay is asked about. Without a sender it is asked about nobody.

    is_typed: the settings are not saved yet. is_brief: nothing is asked after sign-in, and
    nothing else is tried when it fails. is_sending: a test mail goes to rcpt_to, which somebody
    asked for.
    """

    mail_from: Address | None = None
    rcpt_to: Address | None = None
    is_typed: bool = False
    is_brief: bool = False
    is_sending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """endpoint has the deadlines of a diagnosis: see `hurried`."""

    settings: RelaySettings
    endpoint: Endpoint
    credentials: Credentials | None = None
    question: Question = field(default_factory=Question)
    token: TokenSeen | None = None

    @property
    def preset(self) -> Preset | None:
        """The provider, if it is one we know."""
        return preset_of(self.settings)


def preset_of(settings: RelaySettings) -> Preset | None:
    """By the relay's own word, or by its host."""
    return presets.get(settings.preset) or presets.by_host(settings.host)


def hurried(endpoint: Endpoint, patience: Deadlines = PATIENCE) -> Endpoint:
    """The same endpoint with deadlines for somebody who watches. Shorter ones stay."""
    own = endpoint.deadlines
    deadlines = replace(
        own,
        connect=min(own.connect, patience.connect),
        greeting=min(own.greeting, patience.greeting),
        command=min(own.command, patience.command),
    )
    return replace(endpoint, deadlines=deadlines)
