"""Which rule counts, and for what mail: the rules without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pillarbox.base.errors import Invalid, Rejected
from pillarbox.relays.routing import OUT_AFTER, Mail, Rule, When, is_out, read_rules, relays_for
from pillarbox.relays.suspension import Rest

MAIL = Mail(stream="transactional", sender_domain="shop.example", recipient_domain="y.test")
EU, US, SPARE = "eu", "us", "spare"


@pytest.mark.parametrize(
    ("when", "mail", "expected"),
    [
        (When(), MAIL, (EU, SPARE)),
        (When(stream="bulk"), MAIL, (US,)),
        (When(stream="transactional"), MAIL, (EU, SPARE)),
        (When(sender_domain="shop.example"), MAIL, (EU, SPARE)),
        (When(sender_domain="other.example"), MAIL, (US,)),
        (When(recipient_domain="y.test", stream="bulk"), MAIL, (US,)),  # all conditions
        (When(relay=US), MAIL, (EU, SPARE)),  # the default is where it would go
        (When(relay=SPARE), MAIL, (US,)),
        (When(), replace(MAIL, named=US), (US,)),  # a named relay is not taken away
        (When(), replace(MAIL, named=EU), (EU, SPARE)),  # but it gets its stand-ins
        (When(relay=SPARE), replace(MAIL, named=SPARE), (EU, SPARE)),  # unless a rule says so
    ],
)
def test_a_rule_counts_for_mail_that_fits_all_of_it(
    when: When, mail: Mail, expected: tuple[str, ...]
) -> None:
    """`us` is the default relay; the rule says `eu`, then `spare`."""
    assert relays_for((Rule(when, (EU, SPARE)),), mail, US) == expected


def test_the_first_rule_that_fits_counts() -> None:
    rules = (Rule(When(stream="bulk"), (US,)), Rule(When(), (EU,)), Rule(When(), (SPARE,)))

    assert relays_for(rules, MAIL, SPARE) == (EU,)


def test_a_relay_is_out_after_a_while_or_at_once_when_it_needs_a_person() -> None:
    """A short rest is no reason to switch: it may be over before the other one has begun."""
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    rest = Rest(
        relay_id=EU,
        since=noon,
        begun_at=noon,
        until=noon,
        failures=1,
        needs_person=False,
        cause="",
        advice="",
    )

    assert not is_out(None, noon)
    assert not is_out(rest, noon + OUT_AFTER - timedelta(seconds=1))
    assert is_out(rest, noon + OUT_AFTER)
    assert is_out(replace(rest, needs_person=True), noon)


def find(name: str) -> str:
    if name not in (EU, US, SPARE):
        raise Invalid(f"there is no relay “{name}”")
    return name


def test_rules_are_read() -> None:
    typed = [{"when": {"sender_domain": "@Shop.Example", "stream": None}, "relays": [EU, US]}]

    assert read_rules(typed, find) == (Rule(When(sender_domain="shop.example"), (EU, US)),)


def test_every_wrong_rule_is_named_with_its_field() -> None:
    typed = [
        {"relays": []},
        {"relays": [EU, "eu "]},
        {"when": {"colour": "red"}, "relays": [EU]},
        {"when": {"stream": "postcards"}, "relays": [EU]},
        {"relays": [EU, "nowhere"]},
        {"relays": [EU], "weight": 3},
        {"when": {"recipient_domain": "ann@y.test"}, "relays": [EU]},
        7,
    ]

    with pytest.raises(Rejected) as caught:
        read_rules(typed, find)

    assert [problem.field for problem in caught.value.problems] == [
        "rules/0/relays",
        "rules/1/relays",
        "rules/2/when",
        "rules/3/when/stream",
        "rules/4/relays/1",
        "rules/5",
        "rules/6/when/recipient_domain",
        "rules/7",
    ]
