"""From a submission that was checked to a parcel: the octets that every attempt will send."""

from __future__ import annotations

from datetime import datetime

from pillarbox.accept.destinations import destinations
from pillarbox.accept.permitted import (
    lets_all_through,
    permitted,
    refuse_too_large,
    with_copies,
)
from pillarbox.accept.rules import Checked
from pillarbox.accept.submission import Submission
from pillarbox.base.errors import Rejected, TooLarge
from pillarbox.base.ids import Ids
from pillarbox.mail.address import Address
from pillarbox.mail.compose import compose
from pillarbox.mail.draft import Draft
from pillarbox.mail.envelope import Envelope
from pillarbox.queue.message import Destination, Parcel

MAX_CONTENT = 25 * 1024 * 1024  # octets of a composed message


def checked_draft(checked: Checked) -> Draft:
    """Raises Rejected with every problem."""
    if checked.problems or checked.draft is None:
        raise Rejected(checked.problems)
    return checked.draft


def parcel_of(submission: Submission, checked: Checked, now: datetime, ids: Ids) -> Parcel:
    """Date, Message-ID and MIME are fixed here, once. Raises Rejected, and TooLarge."""
    draft = checked_draft(checked)
    message_id = ids.new("msg", now)
    header = f"<{message_id}@{_domain(draft)}>"
    content = compose(draft, message_id=header, date=now)
    if content.size > MAX_CONTENT:
        raise TooLarge(
            f"the message is {content.size:,} octets, with attachments in base64; we take "
            f"{MAX_CONTENT:,}. Send a link instead of the file",
            field="attachments",
        )
    envelope, places = _ways(submission, checked, draft)
    refuse_too_large(checked.registry, places or (Destination(checked.relay.id),), content.size)
    return Parcel(
        id=message_id,
        accepted_at=now,
        inlet=submission.inlet,
        principal=str(submission.principal),
        stream=checked.stream,
        relay_id=checked.relay.id,
        envelope=envelope,
        content=content,
        from_header=str(draft.from_),
        subject=draft.subject,
        message_id_header=header,
        expires_at=checked.expires_at,
        send_at=submission.send_at,
        tags=submission.tags,
        metadata=dict(submission.metadata),
        delivery_ids=_delivery_ids(envelope, now, ids),
        idempotency=submission.idempotency,
        destinations=places,
        tenant=submission.principal.tenant,
    )


def _ways(
    submission: Submission, checked: Checked, draft: Draft
) -> tuple[Envelope, tuple[Destination, ...]]:
    """
    Who gets a copy, and by which relay; no destinations where all go by the same.

    Raises Rejected where a relay is not to be used for one of them.
    """
    own = checked.relay.settings.reverse_path
    envelope = draft.envelope(Address.parse(own) if own else ...)
    paths, sender = envelope.forward_paths, draft.from_.address
    places = destinations(checked.registry, submission, sender, paths)
    if not places and lets_all_through(checked.relay.settings):
        return envelope, ()
    places = places or (Destination(checked.relay.id),) * len(paths)
    ways = with_copies(permitted(checked.registry, sender, paths, places), checked.relay)
    paths = tuple(way.path for way in ways)
    return Envelope(envelope.reverse_path, paths), tuple(way.place for way in ways)


def _delivery_ids(envelope: Envelope, now: datetime, ids: Ids) -> tuple[str, ...]:
    """In the order of the alphabet, which is that of the recipients."""
    if len(envelope.forward_paths) == 1:
        return (ids.new("dlv", now),)
    return tuple(sorted([ids.new("dlv", now) for _ in envelope.forward_paths]))


def _domain(draft: Draft) -> str:
    """What follows the @ in Message-ID (RFC 5322 §3.6.4): the author's domain."""
    domain = draft.from_.address.domain
    return "pillarbox.invalid" if domain.startswith("[") else domain
