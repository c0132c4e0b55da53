"""Consents for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from pillarbox.cli.terminal import facts, plain, word
from pillarbox.client.consents import Consent


def show(consent: Consent, out: Console) -> None:
    """Whether the relay is connected, and what to do when it is not."""
    out.print(Text.assemble(consent.relay, "  ", word(_as_seen(consent), consent.state)))
    out.print(facts(_rows(consent)))
    if consent.authorize_url:  # in one piece, so that it can be opened
        out.print(f"\n{plain(consent.authorize_url)}", soft_wrap=True)
    if consent.state in ("none", "broken") and not consent.is_waiting:
        out.print(f"\nConnect it: pillarbox relay connect {consent.relay}")
    elif consent.state == "working":
        out.print(f"\nTry it: pillarbox diagnose {consent.relay}")


def show_beside(consent: Consent, out: Console) -> None:
    """The same, under a relay."""
    out.print()
    out.print(Text.assemble("Consent  ", word(_as_seen(consent), consent.state)))
    out.print(facts(_rows(consent)))
    if consent.state in ("none", "broken"):
        out.print(f"\nConnect it: pillarbox relay connect {consent.relay}")


def _rows(consent: Consent) -> Iterator[tuple[str, Any]]:
    yield "Grant", consent.grant
    yield "Account", consent.account
    yield (
        "Sign in at",
        consent.verification_uri or ("the address below" if consent.authorize_url else ""),
    )
    yield "Redirect URI", consent.redirect_uri if consent.grant == "authorization_code" else None
    for end in consent.ends:
        yield f"The {end['what']} ends", f"{end['at'][:10]}{', soon' if end['soon'] else ''}"
    yield "Cause", consent.cause
    yield "Do", consent.fix
    yield "Provider said", consent.said


def _as_seen(consent: Consent) -> str:
    """The colour: a consent that is broken looks like a relay that is suspended."""
    return {"broken": "suspended", "expires soon": "warn", "none": "skip"}.get(
        consent.state, consent.state
    )
