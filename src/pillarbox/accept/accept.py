"""
The front half of a message's life: check, compose, store. Then, and only then, a receipt.

Steps 2 and 3 of docs/life-of-a-message.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pillarbox.accept.rules import Checked
from pillarbox.accept.submission import Submission
from pillarbox.base.clock import Clock
from pillarbox.base.errors import PillarboxError, Rejected, TooLarge, Unavailable
from pillarbox.base.ids import Ids
from pillarbox.mail.compose import compose
from pillarbox.mail.draft import Draft
from pillarbox.queue.message import Parcel, Receipt
from pillarbox.queue.queue import Queue
from pillarbox.relays.registry import Registry

MAX_CONTENT = 25 * 1024 * 1024  # octets of a composed message
_NO_ROOM = "the disk is nearly full, so nothing was stored. Mail is taken again when there is room"
_LATER = timedelta(seconds=30)


class Acceptance:
    """Takes responsibility for submissions, or says everything that is wrong with them."""

    def __init__(
        self,
        queue: Queue,
        registry: Registry,
        clock: Clock,
        ids: Ids,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._queue = queue
        self._has_room = has_room
        self._registry = registry
        self._clock = clock
        self._ids = ids

    async def accept(self, submission: Submission) -> Receipt:
        """
        Returns when the message is on stable storage.

        Raises Rejected with every problem and its field, TooLarge, or Mismatch when the
        idempotency key came with another request before; Unavailable when the disk is
        nearly full. Nothing is stored then.
        """
        now = self._clock.now()
        checked = Checked(submission, self._registry, now)
        if checked.problems or checked.draft is None:
            return await self._earlier_receipt(submission, Rejected(checked.problems))
        if not self._has_room():
            return await self._earlier_receipt(
                submission, Unavailable(_NO_ROOM, retry_after=_LATER)
            )
        parcel = self._compose(submission, checked, checked.draft, now)
        return await self._queue.enqueue(parcel)

    def preview(self, submission: Submission) -> bytes:
        """The octets that would be sent; nothing is stored. Raises as `accept` does."""
        now = self._clock.now()
        checked = Checked(submission, self._registry, now)
        if checked.problems or checked.draft is None:
            raise Rejected(checked.problems)
        return self._compose(submission, checked, checked.draft, now).content.octets

    async def _earlier_receipt(self, submission: Submission, error: PillarboxError) -> Receipt:
        """What was accepted stays accepted when its send_at has passed, or the disk is full."""
        known = submission.idempotency
        if known is not None:
            receipt = await self._queue.find_key(known.scope, known.key, known.fingerprint)
            if receipt is not None:
                return receipt
        raise error

    def _compose(
        self, submission: Submission, checked: Checked, draft: Draft, now: datetime
    ) -> Parcel:
        message_id = self._ids.new("msg")
        header = f"<{message_id}@{_domain(draft)}>"
        content = compose(draft, message_id=header, date=now)
        if content.size > MAX_CONTENT:
            raise TooLarge(
                f"the message is {content.size:,} octets, with attachments in base64; we take "
                f"{MAX_CONTENT:,}. Send a link instead of the file",
                field="attachments",
            )
        envelope = draft.envelope()
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
            delivery_ids=tuple(sorted(self._ids.new("dlv") for _ in envelope.forward_paths)),
            idempotency=submission.idempotency,
        )


def _domain(draft: Draft) -> str:
    """What follows the @ in Message-ID (RFC 5322 §3.6.4): the author's domain."""
    domain = draft.from_.address.domain
    return "pillarbox.invalid" if domain.startswith("[") else domain
