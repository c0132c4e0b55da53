"""
Opening a carrier for a relay, with an access token where it needs one.

A token that the relay refuses is renewed once. If the new one is refused as well, it is the
relay's word that counts.
"""

from __future__ import annotations

from dataclasses import replace

from pillarbox.delivery.carriers import Carrier, Opening, Unopened, open_carrier
from pillarbox.delivery.equipment import Equipment
from pillarbox.mail.outcome import Stage
from pillarbox.mail.reply import Reply
from pillarbox.oauth.troubles import NoToken
from pillarbox.relays.token_answers import without_token
from pillarbox.relays.versions import Relay


async def open_with_token(relay: Relay, equipment: Equipment) -> Carrier | Unopened:
    """Raises Unusable when a secret stays shut, Invalid for PEM text that cannot be used."""
    secrets = equipment.registry.secrets(relay)
    opening = Opening(relay, secrets, equipment.ehlo_name, equipment.clock, equipment.ids)
    tokens = equipment.tokens
    if tokens is None:
        return await open_carrier(opening)
    try:
        opening = replace(opening, token=await tokens.of(relay))
        carrier = await open_carrier(opening)
        if opening.token is None or not is_refused_sign_in(carrier):
            return carrier
        fresh = await tokens.of(relay, instead_of=opening.token)
    except NoToken as missing:
        failed = without_token(missing)
        return Unopened(failed, f"*: {missing.refusal.said}")
    return await open_carrier(replace(opening, token=fresh))


def is_refused_sign_in(carrier: Carrier | Unopened) -> bool:
    """The relay said no to what we signed in with, for good."""
    if not isinstance(carrier, Unopened) or carrier.failure.stage is not Stage.AUTH:
        return False
    answer = carrier.failure.answer
    return isinstance(answer, Reply) and answer.code >= 500
