"""The body of a 202 is what showing the message would say, octet for octet."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from pillarbox.inlets.http.answers import show_message
from pillarbox.inlets.http.receipt import written
from pillarbox.queue.message import Parcel, as_stored
from pillarbox.queue.streams import STREAMS
from pillarbox.relays.roster import CurrentRoutes, Roster
from support.parcels import RELAY, parcel

if TYPE_CHECKING:
    from pillarbox.relays.versions import Relay

NOW = datetime(2026, 11, 20, 12, 0, 0, 999999, tzinfo=UTC)

anything = st.text(max_size=40)
moments = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001  the zone is chosen beside it
    datetime(2999, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))]),
)
recipients = st.sampled_from(["ann@x.org", '"a b"@x.org', "jösé@müller.example", "a@[192.0.2.1]"])
parcels = st.builds(
    lambda to, **changes: parcel(NOW, *to, **changes),
    st.lists(recipients, min_size=1, max_size=3, unique=True),
    subject=anything,
    from_header=anything,
    send_at=st.none() | moments,
    expires_at=moments,
    tags=st.lists(anything, max_size=3).map(tuple),
    metadata=st.dictionaries(anything, anything, max_size=3),
    resent_from=st.none() | st.just("msg_0"),
    stream=st.sampled_from(sorted(STREAMS)).map(STREAMS.__getitem__),
)


@settings(max_examples=200, deadline=None)
@given(stored=parcels, name=st.none() | anything)
def test_the_quick_way_to_write_a_receipt_is_the_long_way(stored: Parcel, name: str | None) -> None:
    """Names, subjects and tags of any kind; relays that are gone meanwhile."""
    known = {} if name is None else {RELAY: cast("Relay", SimpleNamespace(name=name))}
    roster = Roster(known, cast("CurrentRoutes", None))

    shown = json.dumps(show_message(as_stored(stored), roster), separators=(",", ":"))

    assert written(stored, roster).decode() == shown
