"""What a value is called that came as JSON."""

from __future__ import annotations


def type_name(raw: object) -> str:
    """For people, as in: this is a text, not a number."""
    match raw:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list() | tuple():
            return "a list"
    return "an object"
