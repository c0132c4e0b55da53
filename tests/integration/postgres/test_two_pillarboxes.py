"""Two whole pillarboxes on one database carry each message once."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, select

from pillarbox.accept.submission import Submission
from pillarbox.access.principal import OPERATOR
from pillarbox.app import App, open_app
from pillarbox.base.clock import SystemClock
from pillarbox.base.config import Config
from pillarbox.mail.mailbox import Mailbox
from pillarbox.queue.tables import attempts, deliveries

_MESSAGES = 60


async def accept(app: App, number: int) -> None:
    draft = {
        "from_": Mailbox.parse("shop@x.test"),
        "to": (Mailbox.parse(f"p{number}@x.test"), Mailbox.parse(f"q{number}@x.test")),
        "subject": "hello",
        "text": "hello\n",
    }
    await app.desk.acceptance.accept(Submission(principal=OPERATOR, inlet="python", draft=draft))


def outcomes(connection: Connection) -> list[tuple[str, str]]:
    joined = select(attempts.c.delivery_id, attempts.c.outcome)
    return [(row.delivery_id, row.outcome) for row in connection.execute(joined)]


def is_done(connection: Connection) -> bool:
    states = connection.scalars(select(deliveries.c.state)).all()
    return len(states) == 2 * _MESSAGES and set(states) == {"relayed"}


async def test_two_that_take_in_and_carry_at_once_relay_everything_once(
    url: str, tmp_path: Path
) -> None:
    """Whoever took it in: each delivery has one attempt, and it was relayed."""
    config = Config(home=tmp_path / "one", database_url=url, secret_key_file=tmp_path / "key")
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        apps = [
            await stack.enter_async_context(open_app(replace(config, home=tmp_path / name)))
            for name in ("one", "two")
        ]
        await asyncio.gather(*(accept(apps[n % 2], n) for n in range(_MESSAGES)))
        async with asyncio.timeout(20):
            while not await apps[0].desk.database.read(is_done):
                await clock.sleep(0.05)
        found = await apps[1].desk.database.read(outcomes)

    assert Counter(outcome for _, outcome in found) == {"relayed": 2 * _MESSAGES}
    assert len({delivery for delivery, _ in found}) == 2 * _MESSAGES
