"""Which relays are sandboxes: what they took is called captured, not relayed."""

from __future__ import annotations

from pillarbox.queue.state import RELAYED, DeliveryState
from pillarbox.relays.registry import Registry
from pillarbox.relays.relay import RelayKind

CAPTURED = "captured"


def sandboxes(registry: Registry) -> frozenset[str]:
    """The ids of all sandboxes."""
    return frozenset(
        relay.id for relay in registry.all() if relay.settings.kind is RelayKind.SANDBOX
    )


def word_for(state: DeliveryState, *, in_sandbox: bool) -> str:
    """What a page says for a state."""
    return CAPTURED if in_sandbox and state is RELAYED else state.value
