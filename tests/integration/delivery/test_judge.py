"""Whose fault a refusal is, when the catalogue's word depends on what the relay did before."""

from __future__ import annotations

from pathlib import Path

from pillarbox.delivery.judge import judge
from pillarbox.mail.outcome import Blame, Failed, Stage
from pillarbox.mail.reply import Reply
from support.house import open_house

DENIED = Failed(
    Stage.RCPT,
    Blame.RECIPIENT,
    permanent=True,
    answer=Reply(554, ("5.7.1 <x@y.test>: Relay access denied",)),
)


async def test_one_forbidden_domain_does_not_suspend_a_relay_that_works(tmp_path: Path) -> None:
    """Otherwise whoever types an address into a form could stop everybody's mail."""
    async with open_house(tmp_path) as house:
        relay = await house.add_relay(host="127.0.0.1", port=2500, tls="none")

    now = house.equipment.clock.now()
    new, working = (
        judge(DENIED, relay, began_at=now),
        judge(DENIED, relay, began_at=now, carries=True),
    )

    assert new.trouble is not None
    assert new.trouble.needs_person
    assert working.trouble is None
    assert isinstance(working.outcome, Failed)
    assert (working.outcome.blame, working.outcome.permanent) == (Blame.RECIPIENT, True)
