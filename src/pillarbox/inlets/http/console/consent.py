"""
Where providers send people back to after they have signed in.

No key is asked for: the state in the address is the capability, made for one relay, good for
ten minutes and for one use. The page says what happened and what to do.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.base.errors import PillarboxError
from pillarbox.diagnosis.findings import Report
from pillarbox.inlets.http.answers import desk_of
from pillarbox.inlets.http.pages import page
from pillarbox.oauth.troubles import NoToken
from pillarbox.relays.connecting import CALLBACK_PATH
from pillarbox.relays.token_answers import classify_token
from pillarbox.relays.versions import Relay

router = APIRouter(include_in_schema=False)

_KNOWN = ("state", "code", "error", "error_description", "iss")


@router.get(CALLBACK_PATH)
async def callback(request: Request) -> Response:
    """Spend the consent, keep the tokens, try the relay at once, and tell."""
    desk = desk_of(request)
    given = {name: request.query_params[name] for name in _KNOWN if name in request.query_params}
    try:
        relay = await desk.connecting.finish(given)
    except NoToken as refused:
        verdict = classify_token(refused.refusal)
        return _failed(request, verdict.cause, verdict.fix, refused.refusal.said)
    except PillarboxError as error:
        return _failed(request, _sentence(str(error)))
    report = await desk.diagnosis.of_relay(relay)
    await desk.registry.note_check(relay, is_well=report.is_well)
    return _done(request, relay, report)


def _done(request: Request, relay: Relay, report: Report) -> Response:
    shown = {"relay": relay.name, "is_well": report.is_well, "broken": report.failure}
    return page(request, "connected.html", shown)


def _failed(request: Request, cause: str, fix: str = "", said: str = "") -> Response:
    shown = {"cause": cause, "fix": fix, "said": said}
    return page(request, "not_connected.html", shown, status=400)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")
