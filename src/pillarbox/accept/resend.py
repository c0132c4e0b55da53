"""Sending a message again as a new one, to all of its recipients or to some of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pillarbox.accept.destinations import destinations_again
from pillarbox.accept.permitted import permitted
from pillarbox.access.principal import Principal
from pillarbox.base.errors import Conflict, Invalid, Rejected
from pillarbox.base.ids import Ids
from pillarbox.mail.address import Address
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.mailbox import Mailbox
from pillarbox.mail.renew import renewed
from pillarbox.queue.message import Delivery, Idempotency, Message, Parcel
from pillarbox.queue.streams import STREAMS
from pillarbox.relays.roster import Roster


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend:
    """Which message, for whom (nobody: for all it went to), and who asks."""

    message_id: str
    principal: Principal
    inlet: str
    to: tuple[Address, ...] = ()
    idempotency: Idempotency | None = None
    faults: tuple[Invalid, ...] = ()


@dataclass(frozen=True, slots=True)
class Original:
    """What is sent again, and the relays there are now."""

    message: Message
    octets: bytes | None
    roster: Roster


def again(original: Original, wish: Resend, now: datetime, ids: Ids) -> Parcel:
    """
    The new message: the same octets but for Message-ID and Date, with a lifetime of its own.

    Raises Rejected for recipients that it did not have, Conflict when its content is gone
    or its time is over and it is worthless since, as a code is.
    """
    message = original.message
    chosen = _chosen(message, wish)
    if original.octets is None:
        raise Conflict("the content of this message is no longer kept; send a new one instead")
    new_id = ids.new("msg")
    places = destinations_again(original.roster, message, chosen)
    paths = [Address.parse(each.to) for each in chosen]
    author = Mailbox.parse(message.from_header).address
    ways = permitted(original.roster, author, paths, places)
    domain = message.message_id_header.rstrip("> ").rpartition("@")[2]
    header = f"<{new_id}@{domain or 'pillarbox.invalid'}>"
    return Parcel(
        id=new_id,
        accepted_at=now,
        inlet=wish.inlet,
        principal=str(wish.principal),
        stream=STREAMS[message.stream],
        relay_id=ways[0].place.relay_id,
        envelope=Envelope(_path(message.reverse_path), tuple(way.path for way in ways)),
        content=renewed(original.octets, message_id=header, date=now),
        from_header=message.from_header,
        subject=message.subject,
        message_id_header=header,
        expires_at=_end(message, now),
        tags=message.tags,
        metadata=message.metadata,
        delivery_ids=tuple(sorted(ids.new("dlv") for _ in ways)),
        idempotency=wish.idempotency,
        resent_from=message.id,
        destinations=tuple(way.place for way in ways),
        tenant=message.tenant,
    )


def _chosen(message: Message, wish: Resend) -> list[Delivery]:
    problems = [*wish.faults, *_strangers(message, wish)]
    if problems:
        raise Rejected(problems)
    wanted = {str(address) for address in wish.to}
    return [each for each in message.deliveries if not wanted or each.to in wanted]


def _strangers(message: Message, wish: Resend) -> Iterator[Invalid]:
    known = {delivery.to for delivery in message.deliveries}
    for number, address in enumerate(wish.to):
        if str(address) not in known:
            yield Invalid("this was not a recipient of the message", field=f"to/{number}")


def _end(message: Message, now: datetime) -> datetime:
    """What a code says dies with the first of its messages; other mail lives anew."""
    stream = STREAMS[message.stream]
    if stream.outlives:
        return now + stream.lifetime
    if message.expires_at <= now:
        raise Conflict(
            f"its time is over, and a {stream.name} is never sent after that; ask for a new one"
        )
    return message.expires_at


def _path(reverse_path: str | None) -> Address | None:
    return None if reverse_path is None else Address.parse(reverse_path)
