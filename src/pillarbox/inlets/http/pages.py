"""Pages for people: templates that escape everything, under a policy that loads nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from pillarbox import __version__
from pillarbox.inlets.http.answers import desk_of, moment
from pillarbox.inlets.http.static import address_of

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_UNITS = (
    (timedelta(days=365), "year"),
    (timedelta(days=30), "month"),
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
)


def page(request: Request, view: str, shown: dict[str, Any], *, status: int = 200) -> Response:
    """A page from views/."""
    now = desk_of(request).clock.now()
    shown = shown | {"now": now, "exact_now": exact(now), "path": request.url.path}
    text = environment().get_template(view).render(shown)
    return Response(text, status, HEADERS, media_type="text/html")


@cache
def environment() -> Environment:
    """Where the views are, and the few words they may use."""
    made = Environment(
        loader=PackageLoader("pillarbox.inlets.http.console", "views"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "ago": ago,
        "exact": exact,
        "rfc3339": moment,
        "octets": octets,
        "state_class": lambda state: _CLASSES.get(str(state), "secondary"),
        "state_words": lambda state: _WORDS.get(str(state), str(state)),
    }
    made.globals |= {"version": __version__, "address_of": address_of}
    return made


_CLASSES = {
    "relayed": "green",
    "captured": "green",
    "working": "green",
    "queued": "blue",
    "scheduled": "blue",
    "sending": "blue",
    "deferred": "yellow",
    "resting": "yellow",
    "uncertain": "orange",
    "held": "purple",
    "failed": "red",
    "expired": "red",
    "suspended": "red",
    "not working": "red",
}
_WORDS = {
    "scheduled": "It waits for its time.",
    "queued": "It is next in line.",
    "sending": "It is on the line to the relay at this moment.",
    "deferred": "The relay did not take it yet. It is tried again by itself.",
    "uncertain": "No answer came after the final dot, so the relay may have it.",
    "held": "It waits for a person.",
    "relayed": "The relay took it. What happens after that, SMTP does not tell.",
    "captured": "The sandbox took it. Nothing has left this machine.",
    "failed": "The relay refused it. It is not tried again by itself.",
    "expired": "Its time ran out before a relay took it.",
    "cancelled": "It was withdrawn before it left.",
}


def ago(at: datetime, now: datetime) -> str:
    """How long since, or until, in the largest whole unit."""
    away = abs(now - at)
    for unit, name in _UNITS:
        if away >= unit:
            count = away // unit
            words = f"{count} {name}{'' if count == 1 else 's'}"
            return f"{words} ago" if at <= now else f"in {words}"
    return "just now" if at <= now else "in a moment"


def exact(at: datetime) -> str:
    """Day and second, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def octets(count: int) -> str:
    """A size as people read it."""
    size = float(count)
    for unit in ("octets", "KiB", "MiB"):
        if size < 1024 or unit == "MiB":
            break
        size /= 1024
    return f"{count} octets" if unit == "octets" else f"{size:.1f} {unit}"
