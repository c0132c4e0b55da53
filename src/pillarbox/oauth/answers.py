"""
What a token endpoint answers, read with suspicion: it may hang, lie, redirect or answer HTML.

Raises NoToken with the cause; what it returns can be used.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pillarbox.base.secret import Secret
from pillarbox.oauth.client import Client
from pillarbox.oauth.troubles import Fault, NoToken, TokenRefusal, noticed, printable

if TYPE_CHECKING:
    from pillarbox.base.http import HttpAnswer

EARLY = timedelta(minutes=5)
_USUAL_LIFE = timedelta(hours=1)  # expires_in is only recommended (RFC 6749 §5.1)
_LONGEST_LIFE = timedelta(days=1)  # whoever says more is asked again all the same
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")  # it goes into a SASL message between control-As
_OPTIONAL_SCOPES = frozenset({"offline_access", "openid", "email", "profile"})

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """
    What a provider gave. access_refresh_at is when to get the next one, well before the end.

    refresh_token is None where none came; refresh_expires_at where the provider did not say.
    """

    access_token: Secret
    access_expires_at: datetime
    access_refresh_at: datetime
    refresh_token: Secret | None = None
    refresh_expires_at: datetime | None = None
    scopes: str | None = None
    account: str | None = None


def read_issued(answer: HttpAnswer, client: Client, now: datetime) -> Issued:
    """A successful answer (RFC 6749 §5.1), or NoToken."""
    told = read_object(answer, client)
    access = told.get("access_token")
    if not isinstance(access, str) or not _TOKEN.fullmatch(access):
        raise noticed(Fault.NO_USABLE_TOKEN, _lacks(told, "access_token"))
    kind = told.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise noticed(
            Fault.NO_USABLE_TOKEN, f"its token_type is {kind!r}, and mail servers take Bearer"
        )
    scopes = _text(told.get("scope"))
    if scopes is not None and not covers(scopes, client.scopes):
        raise noticed(Fault.SCOPE_MISSING, f"asked for {client.scopes}, got {scopes or 'nothing'}")
    refresh = _text(told.get("refresh_token"))
    if refresh is not None and not _TOKEN.fullmatch(refresh):
        raise noticed(Fault.NO_USABLE_TOKEN, "its refresh_token has characters that no token has")
    life = _seconds(told.get("expires_in")) or _USUAL_LIFE
    life = min(life, _LONGEST_LIFE)
    refresh_life = _seconds(told.get("refresh_token_expires_in") or told.get("refresh_expires_in"))
    return Issued(
        access_token=Secret(access),
        access_expires_at=now + life,
        access_refresh_at=now + max(life - EARLY, life / 2),
        refresh_token=Secret(refresh) if refresh else None,
        refresh_expires_at=now + refresh_life if refresh_life else None,
        scopes=scopes,
        account=account_of(told.get("id_token")),
    )


def read_object(answer: HttpAnswer, client: Client) -> Json:
    """The JSON object of an answer that says yes. Raises NoToken for every other one."""
    if 300 <= answer.status < 400:
        raise noticed(Fault.REDIRECTED, f"HTTP {answer.status} to {answer.headers.get('location')}")
    told = _json(answer)
    if told is not None and isinstance(told.get("error"), str):
        raise NoToken(_refused(answer.status, told, client))
    if answer.status >= 500 or answer.status == 429:
        raise NoToken(TokenRefusal(status=answer.status))
    if told is None or answer.status >= 400:
        kind = answer.headers.get("content-type", "no content type")
        raise noticed(Fault.NOT_OAUTH, f"HTTP {answer.status}, {kind}")
    return told


def covers(granted: str, wanted: str) -> bool:
    """
    Whether everything that mail needs was granted. Microsoft names one permission by two hosts
    and in other case, so where a scope has a last part, that part counts.
    """
    has = {_permission(each) for each in granted.split()}
    needs = {_permission(each) for each in wanted.split() if each not in _OPTIONAL_SCOPES}
    return needs <= has or any(each.endswith(".default") for each in needs)


def account_of(id_token: object) -> str | None:
    """
    Who signed in, to be shown. It came from the token endpoint over TLS, which is why its
    signature may stay unchecked (OpenID Connect Core §3.1.3.7); no right follows from it.
    """
    if not isinstance(id_token, str) or id_token.count(".") != 2:
        return None
    middle = id_token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(claims, dict):
        return None
    named = (claims.get(name) for name in ("email", "preferred_username", "upn", "sub"))
    found = next((each for each in named if isinstance(each, str) and each), None)
    return printable(found) if found else None


def _refused(status: int, told: Json, client: Client) -> TokenRefusal:
    return TokenRefusal(
        status=status,
        error=printable(told["error"], client.client_secret),
        description=printable(_text(told.get("error_description")) or "", client.client_secret)
        or None,
    )


def _permission(scope: str) -> str:
    last = scope.rstrip("/").rpartition("/")[2]
    return scope.casefold() if "." not in last or last.count(".") > 1 else last.casefold()


def _json(answer: HttpAnswer) -> Json | None:
    """Google and others label errors wrongly at times, so the content decides."""
    try:
        told = json.loads(answer.content)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _seconds(value: object) -> timedelta | None:
    """A number, also as text, as Microsoft's older endpoint has it. Nonsense counts as silence."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    return timedelta(seconds=seconds) if 0 < seconds < 10**9 else None


def _lacks(told: Json, field: str) -> str:
    if field in told:
        return f"its {field} is not a token"
    names = ", ".join(sorted(map(str, told))[:8])
    return f"its answer has no {field}, but {names}" if names else f"its answer has no {field}"
