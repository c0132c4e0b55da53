"""Hosts of providers with a slip of the finger in them."""

from __future__ import annotations

import random
import string

import pytest

from pillarbox.diagnosis.spelling import nearest, slips
from pillarbox.relays import presets

SEED = 20261120
LETTERS = string.ascii_lowercase + string.digits + "-."


def slipped(word: str, chance: random.Random) -> str:
    """One letter left out, put in, taken for another, or exchanged with its neighbour."""
    at = chance.randrange(len(word) - 1)
    letter = chance.choice(LETTERS)
    return chance.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + letter + word[at:],
            word[:at] + letter + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )


def test_a_slip_in_a_providers_host_still_finds_it() -> None:
    """Of every host with ten different slips, at least 95 in 100 are recognised."""
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    known = [preset.host for preset in presets.every()]
    tries = [(host, slipped(host, chance)) for host in known for _ in range(10)]
    tries = [(host, typed) for host, typed in tries if typed not in known]

    right = sum(nearest(typed, known) == host for host, typed in tries)

    print(f"{right} of {len(tries)}")
    assert right >= 0.95 * len(tries)


@pytest.mark.parametrize(
    ("typed", "meant", "away"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("gmial", "gmail", 1),
        ("office356", "office365", 1),
        ("sengrid", "sendgrid", 1),
        ("kitten", "sitting", 3),
        ("ca", "abc", 3),
    ],
)
def test_slips_are_counted(typed: str, meant: str, away: int) -> None:
    """Both ways the same; an exchange of neighbours is one, and is not edited again."""
    assert slips(typed, meant) == slips(meant, typed) == away


def test_what_is_further_away_is_another_word() -> None:
    """A host of one's own is nobody's misspelled one."""
    assert nearest("mail.example.org", [preset.host for preset in presets.every()]) is None
