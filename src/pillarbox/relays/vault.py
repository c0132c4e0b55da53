"""Secrets of relays, going in and coming out: sealed, lent, or read where they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from pillarbox.access.principal import OPERATOR
from pillarbox.base.errors import Invalid
from pillarbox.base.reference import Unresolved, resolve
from pillarbox.base.sealing import Keyring
from pillarbox.base.secret import Secret
from pillarbox.relays.binding import destination, with_reference
from pillarbox.relays.change import Clear, RelayChange, Replace
from pillarbox.relays.relay import Secrets, Slot
from pillarbox.relays.versions import Decision, Relay, Sealed


class Vault:
    """Seals for a destination, and opens for that one only."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def secrets(self, relay: Relay) -> Secrets:
        """Raises CannotOpen when one was sealed for another destination, Unresolved, …"""
        own = {slot.value: self.open(relay, slot) for slot in relay.sealed}
        return Secrets(**own, **{slot.value: self._open_lent(relay, slot) for slot in relay.lent})

    def sealed(
        self, relay: Relay, kept: Mapping[Slot, Sealed], change: RelayChange, now: datetime
    ) -> dict[Slot, Sealed]:
        """What the relay has afterwards: what is kept, and what the change brings."""
        found = dict(kept)
        for slot, wish in change.secrets.items():
            if isinstance(wish, Replace):
                place = wish.reference
                bound_to = with_reference(destination(relay.settings, relay.id, slot), place)
                found[slot] = Sealed(self._keyring.seal(wish.secret, bound_to), now, place)
            elif isinstance(wish, Clear):
                found.pop(slot, None)
        return found

    def open(self, relay: Relay, slot: Slot) -> Secret:
        """One of its own. Raises CannotOpen, Unresolved."""
        sealed = relay.sealed[slot]
        return self._read(sealed, destination(relay.settings, relay.id, slot))

    def _open_lent(self, relay: Relay, slot: Slot) -> Secret:
        """Sealed for the other relay, so it opens only where that one goes too."""
        return self._read(relay.lent[slot], destination(relay.settings, relay.inherits or "", slot))

    def _read(self, sealed: Sealed, place: bytes) -> Secret:
        opened = self._keyring.open(sealed.octets, with_reference(place, sealed.reference))
        return opened if sealed.reference is None else resolve(sealed.reference)


def reference_problems(decision: Decision) -> Iterator[Invalid]:
    """
    A reference reads our environment and files, so only whoever is on this machine may set one:
    with a key from elsewhere, a relay of one's own would be a way to read them all.
    """
    for slot, place in decision.change.references.items():
        if decision.principal != str(OPERATOR):
            yield Invalid(
                "where a secret is kept can be said on this machine only, with pillarbox relay."
                " Enter the secret itself",
                field=slot.value,
            )
            continue
        try:
            resolve(place)
        except Unresolved as error:
            yield Invalid(str(error), field=slot.value)
