"""Where each recipient's copy goes: by the routes, and who may stand in on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pillarbox.accept.permitted import is_as_strict
from pillarbox.accept.submission import Submission
from pillarbox.mail.address import Address
from pillarbox.mail.mailbox import Mailbox
from pillarbox.queue.message import Delivery, Destination, Message
from pillarbox.relays.relay import RelayKind, RelaySettings
from pillarbox.relays.roster import Roster
from pillarbox.relays.routing import Mail, relays_for
from pillarbox.relays.versions import Relay


def chosen_relay(registry: Roster, submission: Submission) -> Relay:
    """
    The relay whose sender and headers a message gets: the one of its first recipient.

    Raises NotFound for a relay that it names and that there is not.
    """
    named = registry.get(submission.relay) if submission.relay else None
    relay = named or registry.default()
    if not registry.routing.current.rules:
        return relay
    sender = submission.draft.get("from_") or relay.settings.from_
    mail = Mail(
        stream=submission.stream,
        sender_domain=_domain(sender.address) if sender else "",
        recipient_domain=_first_domain(submission.draft),
        named=named.id if named else None,
    )
    return registry.get(_relays(registry, mail)[0])


def destinations(
    registry: Roster, submission: Submission, sender: Address, paths: Iterable[Address]
) -> tuple[Destination, ...]:
    """One for each path, or none where there are no routes and all go by one relay."""
    if not registry.routing.current.rules:
        return ()
    named = registry.get(submission.relay).id if submission.relay else None
    return tuple(
        _destination(
            registry,
            Mail(
                stream=submission.stream,
                sender_domain=_domain(sender),
                recipient_domain=_domain(path),
                named=named,
            ),
        )
        for path in paths
    )


def destinations_again(
    registry: Roster, message: Message, chosen: Iterable[Delivery]
) -> tuple[Destination, ...]:
    """
    One for each of a message's deliveries that is sent again: by the relay that it went to, as
    mail that names it, so with the stand-ins of today. By the routes when that relay is gone.
    """
    sender = Mailbox.parse(message.from_header).address
    return tuple(
        _destination(
            registry,
            Mail(
                stream=message.stream,
                sender_domain=_domain(sender),
                recipient_domain=_domain(Address.parse(each.to)),
                named=each.relay_id if each.relay_id in registry else None,
            ),
        )
        for each in chosen
    )


def _destination(registry: Roster, mail: Mail) -> Destination:
    first, *others = _relays(registry, mail)
    own = registry.get(first).settings
    stand_ins = [each for each in others if _may_stand_in(registry.get(each), own, mail)]
    return Destination(first, ",".join(stand_ins) or None)


def _may_stand_in(relay: Relay, first: RelaySettings, mail: Mail) -> bool:
    """
    A relay that is set up for one sender is not asked to carry another domain's mail, one that
    sends nothing cannot stand in for one that does, and none that lets more people through.
    """
    own = relay.settings.from_
    is_ours = own is None or _domain(own.address) == mail.sender_domain
    is_server = relay.settings.kind is RelayKind.SMTP
    return is_ours and is_server and is_as_strict(relay.settings, first)


def _relays(registry: Roster, mail: Mail) -> list[str]:
    """Of the relays that the routes name, those that are still there; at least one."""
    default = registry.default().id
    listed = relays_for(registry.routing.current.rules, mail, default)
    return [each for each in listed if each in registry] or [mail.named or default]


def _first_domain(draft: Mapping[str, Any]) -> str:
    for field in ("to", "cc", "bcc"):
        for mailbox in draft.get(field) or ():
            return _domain(mailbox.address)
    return ""


def _domain(address: Address) -> str:
    return address.domain.lower()
