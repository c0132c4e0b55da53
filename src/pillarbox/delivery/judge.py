"""What an outcome means beyond its class: the catalogue's word on blame, and on the relay."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from pillarbox.mail.outcome import Blame, Failed, Loss, Lost, Outcome, Stage
from pillarbox.relays.classify import Suspends, Verdict, Where, classify
from pillarbox.relays.pacing import Complaint
from pillarbox.relays.suspension import Trouble
from pillarbox.relays.versions import Relay


class Judged(NamedTuple):
    """An outcome with its blame settled, the advice for a person, and trouble for the relay."""

    outcome: Outcome
    advice: str | None = None
    trouble: Trouble | None = None


def judge(
    outcome: Outcome,
    relay: Relay,
    *,
    began_at: datetime,
    carries: bool = False,
    stands_in: bool = False,
) -> Judged:
    """
    Look a failure up in the catalogue; anything else stands as it is.

    began_at is when the attempt began. carries: this version of the relay has taken other
    mail. A relay that does, and will not relay to one domain, must not be suspended by whoever
    writes that domain into a form. stands_in: for another relay, which may know the sender
    that this one refuses.
    """
    if not isinstance(outcome, Failed) or _is_let_go(outcome):
        return Judged(outcome)
    verdict = classify(outcome.stage, outcome.answer, Where.of(relay.settings))
    judged = replace(outcome, blame=verdict.blame, permanent=verdict.permanent)
    if carries and verdict.if_it_carries is not None:
        judged = replace(outcome, blame=verdict.if_it_carries, permanent=True)
    if stands_in and judged.blame is Blame.SENDER:
        judged = replace(judged, permanent=False)
    if judged.blame is not Blame.RELAY:
        return Judged(judged, verdict.advice)
    return Judged(judged, verdict.advice, _trouble(relay, verdict, began_at))


def silent(relay: Relay) -> Trouble:
    """The trouble of a relay that takes messages and does not say so, again and again."""
    lost = Lost(Loss.CLOSED, "no answer after the final dot")
    verdict = classify(Stage.END_OF_DATA, lost, Where.of(relay.settings))
    cause = f"{relay.name} gave no answer after the final dot, several times in a row"
    return replace(_trouble(relay, verdict, relay.changed_at), cause=cause, complaint=None)


def _trouble(relay: Relay, verdict: Verdict, began_at: datetime) -> Trouble:
    return Trouble(
        relay_id=relay.id,
        relay_name=relay.name,
        needs_person=verdict.suspends is Suspends.PERSON,
        rest_for=verdict.rest_for if verdict.quota else None,
        relay_version=relay.version,
        cause=verdict.cause,
        advice=verdict.advice,
        complaint=_complaint(relay, verdict, began_at),
    )


def _complaint(relay: Relay, verdict: Verdict, began_at: datetime) -> Complaint | None:
    if verdict.suspends is not Suspends.SLOW:
        return None
    return Complaint(
        relay_id=relay.id,
        relay_name=relay.name,
        most=relay.settings.max_connections,
        began_at=began_at,
        cause=verdict.cause,
        advice=verdict.advice,
    )


def _is_let_go(failed: Failed) -> bool:
    """We stopped before the final dot, so the relay did nothing wrong and does not rest."""
    return isinstance(failed.answer, Lost) and failed.answer.loss is Loss.LET_GO
