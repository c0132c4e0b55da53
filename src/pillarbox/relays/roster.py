"""The relays as they are at one moment: found by name or id, without asking anybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sqlalchemy import Connection

from pillarbox.base.errors import Invalid, NotFound, Rejected, Unusable
from pillarbox.relays.routing import Routes, last_routes
from pillarbox.relays.versions import Relay, all_relays


class CurrentRoutes(Protocol):
    """Whoever knows the rules that count."""

    @property
    def current(self) -> Routes: ...


class Roster:
    """Relays by id, and the routes between them."""

    routing: CurrentRoutes

    def __init__(self, known: Mapping[str, Relay], routing: CurrentRoutes) -> None:
        self._known = known
        self.routing = routing

    @classmethod
    def seen_by(cls, connection: Connection) -> Roster:
        """As this connection sees them. Raises Unusable when nobody has set any up yet."""
        known = all_relays(connection)
        if not any(relay.is_default for relay in known.values()):
            raise Unusable("this database has no relays yet; start pillarbox on it once")
        return Roster(known, _Fixed(last_routes(connection)))

    def all(self) -> list[Relay]:
        """All relays by name, the default first."""
        return sorted(self._known.values(), key=lambda each: (not each.is_default, each.name))

    def get(self, reference: str) -> Relay:
        """A relay by id or name. Raises NotFound."""
        if reference in self._known:
            return self._known[reference]
        for relay in self._known.values():
            if relay.name == reference:
                return relay
        raise NotFound(f"there is no relay “{reference}”", field="relay")

    def __contains__(self, relay_id: str) -> bool:
        return relay_id in self._known

    def default(self) -> Relay:
        """The relay of mail that names none."""
        return next(relay for relay in self._known.values() if relay.is_default)


class TenantRoster(Roster):
    """
    The relays that mail of one tenant may go by: of the system's the default one, or none.

    The routes are the system's plan for its own mail and do not count here.
    """

    def __init__(self, whole: Roster, tenant: str, *, uses_system: bool) -> None:
        """tenant is its name, for messages to people."""
        default = whole.default()
        super().__init__({default.id: default} if uses_system else {}, _Fixed(Routes()))
        self._tenant = tenant

    def default(self) -> Relay:
        """The relay of mail that names none. Raises Rejected when there is nothing to use."""
        for relay in self._known.values():
            return relay
        raise Rejected(
            [
                Invalid(
                    f"the tenant “{self._tenant}” may not use the system's relay. Nothing was"
                    " taken in. The operator can allow it: pillarbox tenant set"
                    f" {self._tenant!r} --system-relays allowed",
                    field="relay",
                )
            ]
        )


class _Fixed:
    """Routes that nobody changes any more."""

    def __init__(self, routes: Routes) -> None:
        self.current = routes
