"""How far a tenant's key reaches: the routes of its table, and its own things there."""

from __future__ import annotations

from pillarbox.access.policy import permit
from pillarbox.access.principal import Principal
from pillarbox.base.errors import Denied
from pillarbox.inlets.http.desk import Desk


async def check_reach(desk: Desk, principal: Principal, method: str, path: str) -> None:
    """
    Raises Denied for what only the system's keys may do, and NotFound for things of others.
    """
    if principal.tenant is None:
        return
    permitted = permit(method, path)
    if permitted is None:
        raise Denied(
            "this is a tenant's key: it may send mail and look at its own. Ask the operator"
        )
    if permitted.message_id is not None:
        await desk.queue.check_owner(permitted.message_id, principal.tenant)
