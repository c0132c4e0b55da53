"""
The front half of a message's life: check, compose, store. Then, and only then, a receipt.

Steps 2 and 3 of docs/life-of-a-message.md.
"""

from __future__ import annotations

from datetime import datetime

from pillarbox.accept.rules import Checked
from pillarbox.accept.submission import Submission
from pillarbox.base.clock import Clock
from pillarbox.base.errors import Rejected, TooLarge
from pillarbox.base.ids import Ids
from pillarbox.mail.compose import compose
from pillarbox.mail.draft import Draft
from pillarbox.queue.message import Parcel, Receipt
from pillarbox.queue.queue import Queue
from pillarbox.relays.registry import Registry

MAX_CONTENT = 25 * 1024 * 1024  # octets of a composed message


class Acceptance:
    """Takes responsibility for submissions, or says everything that is wrong with them."""

    def __init__(self, queue: Queue, registry: Registry, clock: Clock, ids: Ids) -> None:
        self._queue = queue
        self._registry = registry
        self._clock = clock
        self._ids = ids

    async def accept(self, submission: Submission) -> Receipt:
        """
        Returns when the message is on stable storage.

        Raises Rejected with every problem and its field, TooLarge, or Mismatch when the
        idempotency key came with another request before. Nothing is stored then.
        """
        now = self._clock.now()
        checked = Checked(submission, self._registry, now)
        if checked.problems or checked.draft is None:
            return await self._earlier_receipt(submission, checked)
        parcel = self._compose(submission, checked, checked.draft, now)
        return await self._queue.enqueue(parcel)

    def preview(self, submission: Submission) -> bytes:
        """The octets that would be sent; nothing is stored. Raises as `accept` does."""
        now = self._clock.now()
        checked = Checked(submission, self._registry, now)
        if checked.problems or checked.draft is None:
            raise Rejected(checked.problems)
        return self._compose(submission, checked, checked.draft, now).content.octets

    async def _earlier_receipt(self, submission: Submission, checked: Checked) -> Receipt:
        """A repeat may come when its send_at has passed: what was accepted stays accepted."""
        known = submission.idempotency
        if known is not None:
            receipt = await self._queue.find_key(known.scope, known.key, known.fingerprint)
            if receipt is not None:
                return receipt
        raise Rejected(checked.problems)

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
