"""
Whose mail may go by which relay, and from which senders: the system's, or a tenant's by policy.

A tenant is held to its policy when its mail is accepted. What was accepted is carried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pillarbox.access.tenants import Permission, Tenant
from pillarbox.base.errors import Invalid, NotFound
from pillarbox.mail.address import Address
from pillarbox.mail.mailbox import Mailbox
from pillarbox.queue.message import Parcel
from pillarbox.relays.addresses import covers
from pillarbox.relays.roster import Roster, TenantRoster


def nobody(reference: str) -> Tenant:
    """Where there are no tenants."""
    raise NotFound(f"there is no tenant “{reference}”", field="tenant")


class Scopes:
    """The relays of the system and of each tenant, as they are at this moment."""

    def __init__(self, registry: Roster, find: Callable[[str], Tenant]) -> None:
        """find knows a tenant by its id, and raises NotFound."""
        self._registry = registry
        self._find = find

    def roster(self, tenant: str | None) -> Roster:
        """
        The relays for mail of this tenant; None is the system.

        What a tenant left behind that was removed goes by the system's relay, when the operator
        sends it again. Its new mail is refused by sender_problems.
        """
        if tenant is None:
            return self._registry
        known = self._known(tenant)
        if known is None:
            return TenantRoster(self._registry, tenant, uses_system=True)
        uses_system = known.system_relays is Permission.ALLOWED
        return TenantRoster(self._registry, known.name, uses_system=uses_system)

    def sender_problems(self, tenant: str, draft: Mapping[str, Any]) -> Iterator[Invalid]:
        """A From or Sender that this tenant may not use; the relay's own it may. NotFound."""
        known = self._find(tenant)
        for name, field in (("from_", "from"), ("sender", "sender")):
            mailbox: Mailbox | None = draft.get(name)
            if mailbox is None or not known.senders or covers(known.senders, mailbox.address):
                continue
            yield Invalid(f"the tenant “{known.name}” does not send from here", field=field)

    def may_be_signed(self, parcel: Parcel) -> bool:
        """
        Whether we vouch for its sender. The domains that we sign for are the system's: a tenant
        gets a signature for the senders that it was given, and for the system relay's own. One
        that was removed gets none.
        """
        if parcel.tenant is None:
            return True
        tenant = self._known(parcel.tenant)
        if tenant is None:
            return False
        author = Mailbox.parse(parcel.from_header).address
        own = self._registry.get(parcel.relay_id).settings.from_
        is_relays_own = own is not None and _same(own.address, author)
        return is_relays_own or covers(tenant.senders, author)

    def _known(self, tenant: str) -> Tenant | None:
        try:
            return self._find(tenant)
        except NotFound:
            return None


def _same(one: Address, other: Address) -> bool:
    return covers((str(one),), other)
