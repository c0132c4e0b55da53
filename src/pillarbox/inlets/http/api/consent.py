"""`/v1/relays/{relay}/consent`: how a relay gets its tokens, and whether it has any."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.base.errors import Conflict, Rejected
from pillarbox.base.secret import Secret
from pillarbox.inlets.http.answers import answer, desk_of, intake_of, principal_of
from pillarbox.inlets.http.consent_answers import ConsentShown, show_consent
from pillarbox.inlets.http.openapi import problems, takes
from pillarbox.inlets.http.reading.fields import NAME, Field, object_of, read_name, read_object
from pillarbox.oauth.troubles import NoToken
from pillarbox.relays.connecting import Offer
from pillarbox.relays.relay import Auth
from pillarbox.relays.token_answers import in_words
from pillarbox.relays.versions import Relay

router = APIRouter(prefix="/v1/relays", tags=["relays"])

_FIELDS = {
    "refresh_token": Field(
        read=read_name, schema=NAME, about="One that you have already: it is kept instead."
    )
}
_SHOWN: dict[int | str, dict[str, Any]] = {200: {"model": ConsentShown}}


class RefusedByProvider(Conflict):
    """The provider gives no token for this relay; the text says why and what to do."""

    code = "no_token"


@router.get("/{relay}/consent", response_class=Response, responses={**_SHOWN, **problems(404, 409)})
async def consent(request: Request, relay: str) -> Response:
    """Whether a relay has tokens, since when, what ends when, and what is wrong."""
    return await _shown(request, desk_of(request).registry.get(relay))


@router.post(
    "/{relay}/consent",
    response_class=Response,
    openapi_extra=takes(object_of(_FIELDS), required=False),
    responses={**_SHOWN, **problems(404, 409, body=True)},
)
async def begin(request: Request, relay: str) -> Response:
    """
    Begin a consent. A person opens authorize_url, or types user_code at verification_uri,
    within ten minutes; an application that needs nobody's consent is connected at once. With
    refresh_token, that one is tried and kept.
    """
    parsed = await intake_of(request).json(request, may_be_empty=True)
    if parsed.faults:
        raise Rejected(parsed.faults)
    wanted = read_object(parsed.fields, _FIELDS)
    connecting, principal = desk_of(request).connecting, str(principal_of(request))
    try:
        if "refresh_token" in wanted:
            token = Secret(wanted["refresh_token"].strip())
            return await _shown(request, await connecting.paste(relay, principal, token))
        offer = await connecting.begin(relay, principal)
    except NoToken as refused:
        if refused.refusal.is_passing:
            raise
        raise RefusedByProvider(in_words(refused)) from None
    return await _shown(request, offer.relay, offer)


@router.delete(
    "/{relay}/consent", status_code=204, response_class=Response, responses=problems(404, 409)
)
async def forget(request: Request, relay: str) -> Response:
    """
    Drop the tokens, and take the consent back at the provider where it has a way for that.

    Mail of the relay waits until it is connected again.
    """
    await desk_of(request).connecting.forget(relay, str(principal_of(request)))
    return Response(status_code=204)


async def _shown(request: Request, relay: Relay, offer: Offer | None = None) -> Response:
    desk = desk_of(request)
    if relay.settings.auth is not Auth.OAUTH2:
        raise Conflict(
            f"“{relay.name}” does not sign in with tokens. Set auth to oauth2, with client_id"
        )
    status = (await desk.connecting.statuses())[relay.id]
    shown = show_consent(relay, status, desk.connecting.redirect_uri, desk.clock.now(), offer)
    return answer(shown)
