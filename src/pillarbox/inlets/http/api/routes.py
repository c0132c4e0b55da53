"""`/v1/routes`: which relay carries which mail, and who stands in for it."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from pillarbox.base.errors import Invalid, NotFound, Rejected
from pillarbox.inlets.http.answers import (
    answer,
    desk_of,
    intake_of,
    moment,
    principal_of,
    relay_name,
)
from pillarbox.inlets.http.openapi import problems, takes
from pillarbox.inlets.http.reading.relay import read_expected_version
from pillarbox.queue.streams import STREAMS
from pillarbox.relays.registry import Registry
from pillarbox.relays.relay import RelayKind
from pillarbox.relays.routing import MAX_RELAYS, MAX_RULES, Rule, read_rules

router = APIRouter(prefix="/v1/routes", tags=["routes"])


class RuleShown(TypedDict):
    """Mail that fits `when` is carried by the first relay; the others stand in, in order."""

    when: dict[str, str]
    relays: list[str]


class RoutesShown(TypedDict):
    """The rules, read from the top. Version 0: nobody has made any."""

    version: int
    changed_at: str | None
    rules: list[RuleShown]


_WORD = {"type": ["string", "null"]}
_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["rules"],
    "properties": {
        "version": {"type": "integer", "minimum": 0, "description": "Refuse if it is another."},
        "rules": {
            "type": "array",
            "maxItems": MAX_RULES,
            "description": "Read from the top; the first that fits counts.",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["relays"],
                "properties": {
                    "when": {
                        "type": ["object", "null"],
                        "additionalProperties": False,
                        "description": "What mail must be like, all of it. Empty: any mail.",
                        "properties": {
                            "stream": {"enum": [*STREAMS, None]},
                            "sender_domain": _WORD,
                            "recipient_domain": _WORD,
                            "relay": _WORD | {"description": "Mail that would go there."},
                        },
                    },
                    "relays": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MAX_RELAYS,
                        "items": {"type": "string"},
                        "description": "Who carries it, then who stands in, in this order.",
                    },
                },
            },
        },
    },
}


@router.get("", response_class=Response, responses={200: {"model": RoutesShown}, **problems()})
async def routes(request: Request) -> Response:
    """The rules, in order."""
    return _shown(request)


@router.put(
    "",
    response_class=Response,
    openapi_extra=takes(_SCHEMA),
    responses={200: {"model": RoutesShown}, **problems(409, body=True)},
)
async def replace_routes(request: Request) -> Response:
    """
    These rules instead of all there are.

    Mail that is accepted from now on follows them. With If-Match or version, the change is
    refused when somebody else was first.
    """
    parsed = await intake_of(request).json(request)
    fields, faults = dict(parsed.fields), list(parsed.faults)
    version = read_expected_version(fields, request.headers.get("if-match"), faults)
    faults += [Invalid("there is no such field", field=name) for name in fields if name != "rules"]
    registry = desk_of(request).registry
    try:
        rules = read_rules(fields.get("rules"), lambda name: _find(registry, name))
        faults += _impossible(rules, registry)
    except Rejected as rejected:
        faults += rejected.problems
    if faults:
        raise Rejected(faults)
    await registry.routing.replace(rules, str(principal_of(request)), expected_version=version)
    return _shown(request)


def _find(registry: Registry, name: str) -> str:
    try:
        return registry.get(name).id
    except NotFound as error:
        raise Invalid(str(error)) from None


def _impossible(rules: tuple[Rule, ...], registry: Registry) -> list[Invalid]:
    return [
        Invalid(
            "only a server can stand in; this relay sends nothing", field=f"rules/{n}/relays/{m}"
        )
        for n, rule in enumerate(rules)
        for m, each in enumerate(rule.relays)
        if m and registry.get(each).settings.kind is not RelayKind.SMTP
    ]


def _shown(request: Request) -> Response:
    registry = desk_of(request).registry
    tag = f'"{registry.routing.current.version}"'
    return answer(_routes(registry), headers={"ETag": tag})


def _routes(registry: Registry) -> RoutesShown:
    """Relays by their names."""
    routes = registry.routing.current
    rules: list[RuleShown] = []
    for rule in routes.rules:
        when = {name: value for name, value in asdict(rule.when).items() if value is not None}
        if "relay" in when:
            when["relay"] = relay_name(registry, when["relay"])
        rules.append({"when": when, "relays": [relay_name(registry, id_) for id_ in rule.relays]})
    return {
        "version": routes.version,
        "changed_at": moment(routes.changed_at) if routes.changed_at else None,
        "rules": rules,
    }
