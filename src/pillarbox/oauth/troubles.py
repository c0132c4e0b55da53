"""
Why there is no token, as facts. What they mean to people is said by relays/token_answers.py.

What a provider says is bounded, printable and without the secrets that it may have repeated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from pillarbox.base.errors import Unavailable
from pillarbox.base.secret import Secret

_LONGEST = 300  # characters of what a provider says
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a1-\u1fff\u2010-\u2027\u2030-\ud7ff]+")
_ASK_A_PERSON = frozenset(  # RFC 6749 §5.2, OpenID Connect Core §3.1.2.6
    {
        "invalid_grant",
        "access_denied",
        "consent_required",
        "interaction_required",
        "login_required",
        "account_selection_required",
    }
)


class Fault(Enum):
    """What we notice ourselves, without a word from the provider."""

    UNREACHABLE = "unreachable"
    BUSY = "busy"  # another process asks already
    REDIRECTED = "redirected"
    NOT_OAUTH = "not oauth"
    NO_USABLE_TOKEN = "no usable token"  # noqa: S105 - what is wrong
    SCOPE_MISSING = "scope missing"
    NO_REFRESH_TOKEN = "no refresh token"  # noqa: S105 - what is wrong
    NOT_CONNECTED = "not connected"
    UNREADABLE = "unreadable"
    UNUSABLE_KEY = "unusable key"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefusal:
    """
    An answer without a token, or that there was none.

    status is HTTP's, 0 without an answer; error and description are the endpoint's own, None
    where it sent none. fault is what we noticed ourselves, description the evidence then.
    """

    status: int = 0
    error: str | None = None
    description: str | None = None
    fault: Fault | None = None

    @property
    def needs_consent(self) -> bool:
        """Asking again is useless until a person has consented again."""
        if self.fault is not None:
            return self.fault in (Fault.NOT_CONNECTED, Fault.UNREADABLE, Fault.SCOPE_MISSING)
        return self.error in _ASK_A_PERSON

    @property
    def is_passing(self) -> bool:
        """It comes back by itself (HTTP 429 and 5yz, silence)."""
        if self.fault is not None:
            return self.fault in (Fault.UNREACHABLE, Fault.BUSY)
        is_busy = self.status == 429 or self.status >= 500
        return is_busy or self.error in ("server_error", "temporarily_unavailable")

    @property
    def said(self) -> str:
        """The evidence, in one line."""
        if self.fault is not None:
            return self.description or self.fault.value
        told = ": ".join(each for each in (self.error, self.description) if each)
        return f"HTTP {self.status}" + (f", {told}" if told else "")

    def without(self, *secrets: Secret) -> TokenRefusal:
        """The same, should the provider have repeated what it was sent."""
        return replace(
            self,
            error=self.error and printable(self.error, *secrets),
            description=self.description and printable(self.description, *secrets),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "error": self.error,
            "description": self.description,
            "fault": self.fault.value if self.fault else None,
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> TokenRefusal:
        fault = kept.get("fault")
        return cls(
            status=kept["status"],
            error=kept["error"],
            description=kept["description"],
            fault=Fault(fault) if fault else None,
        )


class NoToken(Unavailable):
    """There is no access token now; refusal says why."""

    code = "no_token"

    def __init__(self, refusal: TokenRefusal) -> None:
        super().__init__(f"there is no access token: {refusal.said}")
        self.refusal = refusal


def noticed(fault: Fault, evidence: str = "") -> NoToken:
    """Nothing usable came, and the provider did not say why."""
    return NoToken(TokenRefusal(fault=fault, description=printable(evidence) or None))


def printable(text: str, *secrets: Secret | None) -> str:
    """One line that may be shown, without these secrets."""
    for secret in secrets:
        if secret is not None and not secret.is_short:
            text = secret.hidden_in(text, "(secret)")
    line = " ".join(_UNPRINTABLE.sub(" ", text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
