"""What a change does, to be shown before it is saved and kept in the audit log. No secrets."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pillarbox.base.errors import Invalid
from pillarbox.relays.binding import destination
from pillarbox.relays.certificates import describe
from pillarbox.relays.change import Keep, SecretChange
from pillarbox.relays.relay import RelaySettings, Slot, json_name

_PEM = frozenset({"authorities", "client_certificate", "signing_certificate"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One field, before and after, in JSON types. A certificate is shown by name and SHA-256."""

    field: str
    before: Any
    after: Any


def difference(old: RelaySettings, new: RelaySettings) -> tuple[Difference, ...]:
    """Every field that changes, in the order of the settings."""
    return tuple(
        Difference(name, _shown(name, before), _shown(name, after))
        for name in map(json_name, (each.name for each in dataclasses.fields(RelaySettings)))
        if (before := old.shown(name)) != (after := new.shown(name))
    )


def dropped_secrets(
    old: RelaySettings, new: RelaySettings, changes: Mapping[Slot, SecretChange]
) -> tuple[Slot, ...]:
    """
    The slots that nobody replaced and whose destination is another one now.

    What they hold, if anything, cannot be opened any more: say so before saving.
    """
    return tuple(
        slot
        for slot in Slot
        if isinstance(changes.get(slot, Keep()), Keep)
        and destination(old, "", slot) != destination(new, "", slot)
    )


def explained(problem: Invalid, old: RelaySettings, lost: Collection[Slot]) -> Invalid:
    """Why a password that was there a moment ago is asked for again."""
    if problem.field not in {slot.value for slot in lost}:
        return problem
    where = f"{old.host}:{old.port}" if old.host else "another destination"
    return Invalid(
        f"{problem}: the stored one is only good for {where} as it was set up", field=problem.field
    )


def _shown(name: str, value: Any) -> Any:
    return describe(value) if name in _PEM and value is not None else value
