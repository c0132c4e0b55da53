"""What a scrape says, and that asking costs the same however much waits."""

from __future__ import annotations

import time

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from pillarbox.base.clock import SystemClock
from pillarbox.inlets.http.figures import FIGURES
from pillarbox.queue import depth
from support.desk import HELLO, Counter

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(counter: Counter) -> Samples:
    told = await counter.ask("GET", "/metrics", Authorization="")
    assert told.status_code == 200
    families = text_string_to_metric_families(told.text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


async def test_what_is_taken_in_and_waits_is_counted(counter: Counter) -> None:
    """By inlet and stream; by relay and state; and for how long it has been due."""
    for _ in range(3):
        await counter.ask("POST", "/v1/messages", HELLO)
    await counter.ask("POST", "/v1/messages", HELLO | {"stream": "bulk"}, Idempotency_Key="a")
    await counter.ask("POST", "/v1/messages", HELLO | {"stream": "bulk"}, Idempotency_Key="a")
    counter.clock.move(seconds=90)  # type: ignore[attr-defined]  # the hand clock of the desk

    found = await scrape(counter)

    assert of(found, "pillarbox_accepted_total", inlet="http", stream="transactional") == 3
    assert of(found, "pillarbox_accepted_total", inlet="http", stream="bulk") == 1
    assert of(found, "pillarbox_deliveries", relay="sandbox", state="queued") == 4
    assert of(found, "pillarbox_deliveries", relay="sandbox", state="held") == 0
    assert of(found, "pillarbox_oldest_due_seconds") == 90
    assert of(found, "pillarbox_relay_oldest_due_seconds", relay="sandbox") == 90
    assert of(found, "pillarbox_relay_state", relay="sandbox", state="working") == 1
    assert of(found, "pillarbox_relay_state", relay="sandbox", state="suspended") == 0
    assert of(found, "pillarbox_commits_total") >= 5
    assert of(found, "pillarbox_commit_works_bucket", le="+Inf") == of(
        found, "pillarbox_commit_works_count"
    )
    assert of(found, "process_resident_memory_bytes") > 0


async def test_every_figure_of_the_page_is_in_a_scrape(counter: Counter) -> None:
    """And nothing of ours that the page does not know."""
    await counter.ask("POST", "/v1/messages", HELLO)
    text_ = (await counter.ask("GET", "/metrics", Authorization="")).text
    told = {family.name for family in text_string_to_metric_families(text_)}

    assert {each.name for each in FIGURES} <= told
    assert {each for each in told if each.startswith("pillarbox_")} == {
        each.name for each in FIGURES
    }


async def test_counting_is_bounded(counter: Counter) -> None:
    """A second scrape does not count again; what is counted is counted again in time."""
    relay_id = counter.desk.registry.default().id
    look = counter.desk.depth.look

    assert dict((await look([relay_id])).open) == {}
    await counter.ask("POST", "/v1/messages", HELLO)
    assert dict((await look([relay_id])).open) == {}
    counter.clock.move(seconds=6)  # type: ignore[attr-defined]  # the hand clock of the desk
    assert sum((await look([relay_id])).open.values()) == 1


async def test_a_long_queue_does_not_slow_a_scrape(counter: Counter) -> None:
    """With 200,000 deliveries a scrape takes milliseconds; the count itself well under a second."""
    message = (await counter.ask("POST", "/v1/messages", HELLO)).json()["id"]
    copy = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) "
        "INSERT INTO deliveries (id, message_id, relay_id, priority, lane, forward_path, state, "
        "due_at, expires_at, changed_at) "
        "SELECT 'x' || i, message_id, relay_id, priority, lane, forward_path, CASE i % 2 "
        "WHEN 0 THEN 'queued' ELSE 'relayed' END, CASE i % 2 WHEN 0 THEN due_at END, "
        "expires_at, changed_at FROM deliveries, n WHERE message_id = :message"
    )
    await counter.desk.database.write(lambda each: each.execute(copy, {"message": message}))
    clock = SystemClock()
    begun = clock.monotonic()
    await counter.desk.database.read(depth.count_open)
    counted = clock.monotonic() - begun
    await scrape(counter)
    times = []
    for _ in range(5):
        begun = time.monotonic()
        found = await scrape(counter)
        times.append(time.monotonic() - begun)

    assert of(found, "pillarbox_deliveries", relay="sandbox", state="queued") == 100_001
    print(f"counting {counted * 1000:.0f} ms, a scrape {min(times) * 1000:.1f} ms")
    assert counted < 2
    assert min(times) < 0.1
