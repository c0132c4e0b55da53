"""
The body of a 202, written at once.

It has the same octets as `show_message` of the same message as JSON, and costs a fifth: every
message that is handed over gets one.
"""

from __future__ import annotations

import json
from datetime import datetime
from json.encoder import encode_basestring_ascii as quoted

from pillarbox.inlets.http.answers import moment, relay_name
from pillarbox.queue.message import Parcel
from pillarbox.relays.roster import Roster

_json = json.JSONEncoder(separators=(",", ":")).encode


def written(parcel: Parcel, registry: Roster) -> bytes:
    """A message as it is the moment it was stored, as JSON in ASCII."""
    accepted_at = _moment(parcel.accepted_at)
    due_at = _moment(parcel.first_due_at) if parcel.is_scheduled else accepted_at
    state = parcel.first_state.value
    waits = (
        f'","state":"{state}","attempts":0,"tries":0,"due_at":{due_at},'
        f'"changed_at":{accepted_at},"answer":null,"advice":null,"possible_duplicate":false}}'
    )
    paths = zip(parcel.delivery_ids, parcel.envelope.forward_paths, strict=True)
    deliveries = [f'{{"id":"{id_}","to":{quoted(str(path))[:-1]}{waits}' for id_, path in paths]
    relay = relay_name(registry, parcel.relay_id)
    return (
        f'{{"id":"{parcel.id}","state":"{state}","relay":{quoted(relay)},'
        f'"relay_id":"{parcel.relay_id}","stream":"{parcel.stream.name}",'
        f'"subject":{quoted(parcel.subject)},"from":{quoted(parcel.from_header)},'
        f'"send_at":{_moment(parcel.send_at)},"expires_at":{_moment(parcel.expires_at)},'
        f'"created_at":{accepted_at},"tags":{_json(parcel.tags) if parcel.tags else "[]"},'
        f'"metadata":{_json(parcel.metadata) if parcel.metadata else "{}"},'
        f'"resent_from":{_text(parcel.resent_from)},'
        f'"deliveries":[{",".join(deliveries)}]}}'
    ).encode()


def _moment(at: datetime | None) -> str:
    return "null" if at is None else f'"{moment(at)}"'


def _text(value: str | None) -> str:
    return "null" if value is None else quoted(value)
