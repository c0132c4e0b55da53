"""
One field of a JSON object: how it is read and how the API describes it, declared together.

A reader takes JSON and returns a value, or raises Invalid or Rejected seen from where it
stands. Nothing stops at the first fault: what can be read is read.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pillarbox.base.errors import Invalid, Rejected
from pillarbox.base.json_type import type_name
from pillarbox.inlets.http.body import pointer

Json = dict[str, Any]
MOST_ITEMS = 1000  # of any list; the fields themselves take far fewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field that may be left out; null means the same."""

    read: Callable[[Any], Any]
    schema: Json
    about: str

    @property
    def described(self) -> Json:
        """Its JSON Schema, null allowed."""
        return {"anyOf": [self.schema, {"type": "null"}], "description": self.about}


@dataclass(slots=True)
class Read:
    """What an object held: values by name, and what could not be read."""

    values: dict[str, Any] = field(default_factory=dict)
    faults: list[Invalid] = field(default_factory=list)
    partial: dict[str, Any] = field(default_factory=dict)  # of faulty fields, what was good


class Partly(Rejected):
    """Some of a field could be read: `value` is that part."""

    def __init__(self, problems: list[Invalid], value: Any) -> None:
        super().__init__(problems)
        self.value = value


def read_fields(raw: Mapping[str, Any], fields: Mapping[str, Field]) -> Read:
    """Everything that can be read, and every fault with its field."""
    found = Read()
    for name, value in raw.items():
        wanted = fields.get(name)
        if wanted is None:
            found.faults.append(unknown(name, fields))
        elif value is not None:
            try:
                found.values[name] = wanted.read(value)
            except (Invalid, Rejected) as error:
                _note(found, name, error)
    return found


def _note(found: Read, name: str, error: Invalid | Rejected) -> None:
    """What is wrong with this field, seen from the object."""
    if isinstance(error, Partly):
        found.partial[name] = error.value
    problems = [error] if isinstance(error, Invalid) else error.problems
    found.faults += [fault.under(name) for fault in problems]


def unknown(name: str, fields: Mapping[str, Any]) -> Invalid:
    """A name that is none of the fields, with the nearest that is."""
    near = difflib.get_close_matches(name.lower()[:100], list(fields), n=1, cutoff=0.6)
    hint = f". Did you mean {near[0]}?" if near else f"; there are {', '.join(fields)}"
    shown = pointer(name)
    return Invalid(f"there is no field “{shown}”{hint}", field=shown)


def object_of(fields: Mapping[str, Field], required: tuple[str, ...] = ()) -> Json:
    """The JSON Schema of an object of these fields and no others."""
    properties = {
        name: each.schema | {"description": each.about} if name in required else each.described
        for name, each in fields.items()
    }
    schema: Json = {"type": "object", "additionalProperties": False, "properties": properties}
    return schema | {"required": list(required)} if required else schema


def read_object(
    raw: Any, fields: Mapping[str, Field], required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The values of an object. Raises Rejected with everything that is wrong in it."""
    if not isinstance(raw, dict):
        raise Invalid(f"this is an object, not {type_name(raw)}")
    found = read_fields(raw, fields)
    unread = {(fault.field or "").partition("/")[0] for fault in found.faults}
    missing = [name for name in required if name not in found.values and name not in unread]
    found.faults += [Invalid("this is missing", field=name) for name in missing]
    if found.faults:
        raise Rejected(found.faults)
    return found.values


def each_of(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """A reader for a list. Raises Partly with what could be read."""

    def read_list(raw: Any) -> tuple[Any, ...]:
        if not isinstance(raw, list):
            raise Invalid(f"this is a list, not {type_name(raw)}")
        if len(raw) > MOST_ITEMS:
            raise Invalid(f"this list has {len(raw):,} items; at most {MOST_ITEMS} are looked at")
        values, faults = [], []
        for number, item in enumerate(raw):
            try:
                values.append(read(item))
            except Invalid as fault:
                faults.append(fault.under(str(number)))
            except Rejected as rejected:
                faults += [fault.under(str(number)) for fault in rejected.problems]
        if faults:
            raise Partly(faults, tuple(values))
        return tuple(values)

    return read_list


def read_text(raw: Any) -> str:
    """Any text."""
    if not isinstance(raw, str):
        raise Invalid(f"this is a text, not {type_name(raw)}")
    return raw


def read_name(raw: Any) -> str:
    """A text that is not empty."""
    if not read_text(raw).strip():
        raise Invalid("this is empty. Leave it out instead")
    return str(raw)


def read_flag(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise Invalid(f"this is true or false, not {type_name(raw)}")
    return raw


TEXT: Json = {"type": "string"}
NAME: Json = {"type": "string", "minLength": 1}
FLAG: Json = {"type": "boolean"}
