"""The access token in a diagnosis: got by the code that delivery gets it by, and its step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pillarbox.base.clock import Clock
from pillarbox.base.secret import Secret
from pillarbox.diagnosis.findings import Status, Step
from pillarbox.mail.outcome import Failed, Stage
from pillarbox.mail.reply import Reply
from pillarbox.oauth.troubles import NoToken, TokenRefusal
from pillarbox.relays.token_answers import classify_token

Ask = Callable[[Secret | None], Awaitable[Secret | None]]
"""Given a token that the relay has just refused, or None, the token to sign in with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSeen:
    """What came of asking: a token, or why there is none. Neither: the relay needs no token."""

    token: Secret | None
    milliseconds: float
    refusal: TokenRefusal | None = None
    is_renewed: bool = False


async def look(ask: Ask, clock: Clock, instead_of: Secret | None = None) -> TokenSeen:
    """Raises Unusable when a secret stays shut."""
    began, is_renewed = clock.monotonic(), instead_of is not None
    try:
        token, refusal = await ask(instead_of), None
    except NoToken as missing:
        token, refusal = None, missing.refusal
    waited = (clock.monotonic() - began) * 1000
    return TokenSeen(token=token, milliseconds=waited, refusal=refusal, is_renewed=is_renewed)


def step_of_token(seen: TokenSeen) -> Step:
    """Whether there is a token, without a letter of it."""
    if seen.refusal is None:
        why = "renewed, because the server refused the one before" if seen.is_renewed else "valid"
        return Step(
            stage=Stage.TOKEN,
            status=Status.OK,
            evidence=f"access token {why}",
            milliseconds=seen.milliseconds,
        )
    verdict = classify_token(seen.refusal)
    return Step(
        stage=Stage.TOKEN,
        status=Status.FAIL,
        evidence=seen.refusal.said,
        milliseconds=seen.milliseconds,
        cause=verdict.cause,
        fix=verdict.fix,
        advice_id=verdict.advice,
    )


def is_refused(failed: Failed | None) -> bool:
    """The relay said no to the token for good; a fresh one may be taken."""
    if failed is None or failed.stage is not Stage.AUTH:
        return False
    return isinstance(failed.answer, Reply) and failed.answer.code >= 500
