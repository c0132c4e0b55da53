"""From a submission that was checked to a parcel: the octets that every attempt will send."""

from __future__ import annotations

from datetime import datetime

from pillarbox.accept.destinations import destinations
from pillarbox.accept.permitted import Way, permitted, refuse_too_large, with_copies
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
    message_id = ids.new("msg")
    header = f"<{message_id}@{_domain(draft)}>"
    content = compose(draft, message_id=header, date=now)
    if content.size > MAX_CONTENT:
        raise TooLarge(
            f"the message is {content.size:,} octets, with attachments in base64; we take "
            f"{MAX_CONTENT:,}. Send a link instead of the file",
            field="attachments",
        )
    ways = _ways(submission, checked, draft)
    refuse_too_large(checked.registry, ways, content.size)
    return Parcel(
        id=message_id,
        accepted_at=now,
        inlet=submission.inlet,
        principal=str(submission.principal),
        stream=checked.stream,
        relay_id=checked.relay.id,
        envelope=Envelope(_reverse_path(checked, draft), tuple(way.path for way in ways)),
        content=content,
        from_header=str(draft.from_),
        subject=draft.subject,
        message_id_header=header,
        expires_at=checked.expires_at,
        send_at=submission.send_at,
        tags=submission.tags,
        metadata=dict(submission.metadata),
        delivery_ids=tuple(sorted(ids.new("dlv") for _ in ways)),
        idempotency=submission.idempotency,
        destinations=tuple(way.place for way in ways),
    )


def _ways(submission: Submission, checked: Checked, draft: Draft) -> tuple[Way, ...]:
    """Who gets a copy, and by which relay. Raises Rejected where one is not to be used for it."""
    paths, sender = draft.envelope().forward_paths, draft.from_.address
    by_routes = destinations(checked.registry, submission, sender, paths)
    places = by_routes or (Destination(checked.relay.id),) * len(paths)
    return with_copies(permitted(checked.registry, sender, paths, places), checked.relay)


def _reverse_path(checked: Checked, draft: Draft) -> Address | None:
    own = checked.relay.settings.reverse_path
    return Address.parse(own) if own else draft.envelope().reverse_path


def _domain(draft: Draft) -> str:
    """What follows the @ in Message-ID (RFC 5322 §3.6.4): the author's domain."""
    domain = draft.from_.address.domain
    return "pillarbox.invalid" if domain.startswith("[") else domain
