"""
What a relay lets through: who may send by it, who may get its mail, and who gets a copy.

Decided when a message is accepted, like everything about it. What a relay is told later is
for later messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pillarbox.base.errors import Invalid, Rejected, TooLarge
from pillarbox.mail.address import Address
from pillarbox.mail.mailbox import Mailbox
from pillarbox.queue.message import Destination
from pillarbox.relays.addresses import covers
from pillarbox.relays.relay import OtherSenders, RelaySettings
from pillarbox.relays.roster import Roster
from pillarbox.relays.versions import Relay

_LET_THROUGH = ("senders", "other_senders", "recipients", "redirect_to")
_MOST_SHOWN = 5  # entries of a list, in a message to a person


@dataclass(frozen=True, slots=True)
class Way:
    """One forward path, and where its copy goes."""

    path: Address
    place: Destination


def rewritten(draft: Mapping[str, Any], settings: RelaySettings) -> dict[str, Any]:
    """
    The draft's parts; where the relay rewrites, mail of others goes out from its own sender.

    The author's name stays, and answers go to the author.
    """
    parts = dict(draft)
    author, own = parts.get("from_"), settings.from_
    if settings.other_senders is OtherSenders.REFUSE or author is None or own is None:
        return parts
    if covers(settings.senders, author.address):
        return parts
    parts["from_"] = Mailbox(author.name or own.name, own.address)
    parts["reply_to"] = parts.get("reply_to") or (author,)
    parts["sender"] = None
    return parts


def sender_problems(parts: Mapping[str, Any], relay: Relay) -> Iterator[Invalid]:
    """A From or Sender that this relay is not to be used for."""
    for name, field in (("from_", "from"), ("sender", "sender")):
        mailbox = parts.get(name)
        if mailbox is not None and not _may_send(mailbox.address, relay.settings):
            yield _not_a_sender(relay, field)


def permitted(
    registry: Roster, sender: Address, paths: Sequence[Address], places: Sequence[Destination]
) -> tuple[Way, ...]:
    """
    Each path once, with its place; others than a relay's recipients go to its redirect_to.

    Raises Rejected when the relay of a path may not be used by this sender or for it.
    """
    ways: dict[Address, Way] = {}
    problems: list[Invalid] = []
    for path, place in zip(paths, places, strict=True):
        relay = registry.get(place.relay_id)
        goes_to = _goes_to(path, relay.settings)
        if not _may_send(sender, relay.settings):
            problems.append(_not_a_sender(relay, "from"))
        elif goes_to is None:
            problems.append(_not_a_recipient(path, relay))
        else:
            ways.setdefault(goes_to, Way(goes_to, place))
    if problems:
        raise Rejected(list({str(each): each for each in problems}.values()))
    return tuple(ways.values())


def with_copies(ways: tuple[Way, ...], relay: Relay) -> tuple[Way, ...]:
    """The same, and one for each address that gets a copy of everything."""
    known = {way.path for way in ways}
    copies = map(Address.parse, relay.settings.bcc)
    return (*ways, *(replace(ways[0], path=copy) for copy in copies if copy not in known))


def lets_all_through(settings: RelaySettings) -> bool:
    """Whether there is nothing to decide: anybody may send to anybody, and nobody gets a copy."""
    return not (settings.senders or settings.recipients or settings.redirect_to or settings.bcc)


def refuse_too_large(registry: Roster, places: Sequence[Destination], octets: int) -> None:
    """Raises TooLarge when a relay on the way does not take as much."""
    for relay_id in dict.fromkeys(place.relay_id for place in places):
        relay = registry.get(relay_id)
        most = relay.settings.max_octets
        if most is not None and octets > most:
            raise TooLarge(
                f"the message is {octets:,} octets, with attachments in base64; the relay"
                f" “{relay.name}” takes {most:,}. Send a link instead of the file",
                field="attachments",
            )


def is_as_strict(stand_in: RelaySettings, first: RelaySettings) -> bool:
    """Whether the stand-in lets through what the first does, and no more."""
    return all(getattr(stand_in, name) == getattr(first, name) for name in _LET_THROUGH)


def _goes_to(path: Address, settings: RelaySettings) -> Address | None:
    """Where this path's mail goes, or None when the relay is not to be used for it."""
    if covers(settings.recipients, path):
        return path
    if settings.redirect_to is not None:
        return Address.parse(settings.redirect_to)
    return None if settings.recipients else path


def _may_send(sender: Address, settings: RelaySettings) -> bool:
    return not settings.senders or covers(settings.senders, sender)


def _not_a_sender(relay: Relay, field: str) -> Invalid:
    return Invalid(
        f"the relay “{relay.name}” sends for {_listed(relay.settings.senders)} only", field=field
    )


def _not_a_recipient(path: Address, relay: Relay) -> Invalid:
    return Invalid(
        f"the relay “{relay.name}” sends to {_listed(relay.settings.recipients)} only,"
        f" and not to {path}",
        field="to",
    )


def _listed(entries: Sequence[str]) -> str:
    more = len(entries) - _MOST_SHOWN
    return ", ".join(entries[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
