"""
Broken set-ups: the program names the true cause, and its fix, applied, works.

What it prints is docs/reference/diagnose-captures.md. To write that page again:

    WRITE_CAPTURES=1 pytest -p no:randomly tests/journeys/test_broken_setups.py
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support import captures
from support.broken_setups import BROKEN
from support.broken_world import Broken, Elsewhere, Offered, Typed, World
from support.internet import internet
from support.program import Program, new_program

IS_WRITING = bool(os.environ.get("WRITE_CAPTURES"))
RECIPIENT = "bob@example.net"

Options = Mapping[str, str]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    net = internet(tmp_path)
    with ExitStack() as stack:
        stack.callback(net.close)
        yield World(tmp_path, net, stack, new_program(tmp_path))


@pytest.mark.parametrize("setup", BROKEN, ids=lambda setup: setup.anchor)
def test_the_cause_is_named_and_its_fix_works(setup: Broken, world: World) -> None:
    """Typed settings: ended with 1 and the cause; mended as it says: ended with 0."""
    setup.build(world)
    world.live()
    box, before = world.box, setup.typed

    said, report = found(setup, box)
    after, words = mended(setup, world, before, report)
    world.live()
    said_then = diagnosed(box, after, ended=0)

    shown = captures.Capture(setup.title, command(before), said, words, command(after), said_then)
    if IS_WRITING:
        captures.write(shown, [each.title for each in BROKEN])
    written = captures.squeezed(captures.section(setup.title))
    assert captures.squeezed(shown.text) == written, "another text: see how the page is written"


def test_the_page_shows_these_and_no_others() -> None:
    """In the order of the table, each once."""
    assert captures.titles() == [setup.title for setup in BROKEN]


def found(setup: Broken, box: Program) -> tuple[str, Any]:
    """What is said of the set-up as it was typed: the true cause, and something to do."""
    if setup.stage is None:
        said = diagnosed(box, setup.typed, ended=3)
        assert setup.cause in " ".join(said.split())
        return said, {}
    beside_each_other = 1 if "relay" in setup.typed else 2  # a home has one process at a time
    with ThreadPoolExecutor(beside_each_other) as pool:  # each may wait for a silent server
        words = [*arguments(setup.typed), "--to", RECIPIENT, "--json"]
        as_json = pool.submit(box.run, "diagnose", *words)
        as_text = pool.submit(diagnosed, box, setup.typed, ended=1)
        said = as_text.result()
        report = json.loads(as_json.result().stdout)
    failing = next(step for step in report["steps"] if step["status"] == "fail")
    assert (failing["stage"], failing["advice_id"]) == (setup.stage, setup.advice), said
    assert setup.cause in failing["cause"], said
    assert failing["fix"], said
    return said, report


def diagnosed(box: Program, options: Options, *, ended: int) -> str:
    """What a person sees."""
    done = box.run("diagnose", *arguments(options), "--to", RECIPIENT)
    assert done.returncode == ended, done.stdout + done.stderr
    return done.stdout + done.stderr


def mended(
    setup: Broken, world: World, before: Options, report: Mapping[str, Any]
) -> tuple[Options, str]:
    """The options of the second try, and what was done, in words."""
    match setup.cure:
        case Offered(change):
            assert change in [proposal["change"] for proposal in report["proposals"]]
            return {**before, **{name: str(value) for name, value in change.items()}}, (
                "The change that is offered:"
            )
        case Typed(options, password):
            if password:
                world.passwords["SMTP_PASSWORD"] = password
            said = "The right password" if password and not options else "With the fix typed"
            return {**before, **options}, f"{said}:"
        case Elsewhere(words, act):
            act(world)
            return before, f"{words} Again:"


def arguments(options: Options) -> list[str]:
    if "relay" in options:
        return [options["relay"]]
    given = [word for name, value in options.items() for word in (f"--{name}", value)]
    return given + (["--password-env", "SMTP_PASSWORD"] if "username" in options else [])


def command(options: Options) -> str:
    return shlex.join(["pillarbox", "diagnose", *arguments(options), "--to", RECIPIENT])
