"""What people see: small pages, compared whole."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from pillarbox.cli.advice import advice_on
from pillarbox.cli.terminal import Trimmed, plain
from pillarbox.cli.views import message as message_view
from pillarbox.cli.views import relay as relay_view
from pillarbox.cli.views import report as report_view
from pillarbox.cli.views.message import Story
from pillarbox.client.answers import Message, Page, Proposals, Relay, Report, read, read_page
from pillarbox.relays.catalogue import entries


class Paper:
    """A console of 80 columns that keeps what is printed."""

    def __init__(self) -> None:
        self._kept = io.StringIO()
        self.console = Console(
            file=Trimmed(self._kept),  # type: ignore[arg-type]  # as terminal.console does
            width=80,
            highlight=False,
            markup=False,
        )

    @property
    def text(self) -> str:
        return self._kept.getvalue()


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Paper]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield Paper()
    monkeypatch.undo()
    time.tzset()


REPORT: dict[str, Any] = {
    "ok": False,
    "relay": "main",
    "steps": [
        {"stage": "dns", "label": "Find the host", "status": "ok", "milliseconds": 12.4,
         "evidence": "1 address: 192.0.2.1"},
        {"stage": "auth", "label": "Sign in", "status": "fail", "milliseconds": 1204.0,
         "evidence": "535 5.7.8 bad credentials", "cause": "The password is wrong.",
         "fix": "Type it again."},
        {"stage": "mail", "label": "Sender", "status": "skip", "milliseconds": None,
         "evidence": "not reached"},
    ],
    "proposals": [{"change": {"port": 465, "tls": "implicit"}, "why": "It answers there.",
                   "asks_again": ["password"]}],
    "transcript": ["S: 220 hello", "C: QUIT"],
}  # fmt: skip


def test_a_diagnosis_ends_with_what_to_do(paper: Paper) -> None:
    """Step by step, then the trouble, what would do better, and one verdict."""
    report_view.show(read(Report, REPORT), paper.console, transcript=True)

    assert (
        paper.text
        == """\
✓ Find the host    12 ms 1 address: 192.0.2.1
✗ Sign in       1,204 ms 535 5.7.8 bad credentials
· Sender                 not reached

✗ Sign in
  Said   535 5.7.8 bad credentials
  Cause  The password is wrong.
  Do     Type it again.

→ Try instead: port 465, tls implicit
  Why    It answers there.
  Again  the password: the change drops it
  Type   pillarbox relay set main --port 465 --tls implicit --password-stdin

What was said
  S: 220 hello
  C: QUIT

This does not work. It stops at “Sign in”.
"""
    )


def test_settings_for_an_address_can_be_typed(paper: Paper) -> None:
    """The best first, each with a command that a shell takes as it stands; then where we looked."""
    preset = {"preset": "gmail", "username": "ann@b.example", "from": "ann@b.example"}
    own = {"host": "smtp.b.example", "port": 465, "tls": "implicit", "username": "ann"}
    told = {
        "address": "ann@b.example",
        "proposals": [
            {"change": preset, "why": "It is.", "sure": "likely", "answers": True},
            {"change": own, "why": "It may be.", "sure": "guess", "answers": False},
        ],
        "looked": [{"source": "mx", "evidence": "mail goes to mx.b.example"}],
    }
    report_view.show_proposals(read(Proposals, told), paper.console)

    assert (
        paper.text
        == """\
✓ 1. Gmail: smtp.gmail.com port 465, tls implicit, username ann@b.example
  likely, answers
  Why   It is.
  Type  pillarbox relay add b --preset gmail --username ann@b.example \\
          --from ann@b.example

! 2. smtp.b.example port 465, tls implicit, username ann
  guess, does not answer from here
  Why   It may be.
  Type  pillarbox relay add b --host smtp.b.example --port 465 \\
          --tls implicit --username ann

Where we looked
  MX  mail goes to mx.b.example
"""
    )


def test_nothing_found_says_what_to_ask_for(paper: Paper) -> None:
    """Where to get the name of the server, and what to do with it."""
    report_view.show_proposals(read(Proposals, {"address": "ann@b.example"}), paper.console)

    assert "pillarbox diagnose --host NAME" in paper.text


def test_a_relay_that_works_says_so(paper: Paper) -> None:
    """With a warning, it still works."""
    warned = {"label": "Settings", "status": "warn", "evidence": "no from", "cause": "None set."}
    report_view.show(read(Report, {"ok": True, "steps": [warned]}), paper.console)

    assert paper.text.endswith("This works, with 1 thing to know.\n")


MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "state": "deferred",
    "relay": "main",
    "stream": "transactional",
    "subject": "Order 4711",
    "from": "Shop <shop@example.org>",
    "created_at": "2026-11-20T16:30:00.000Z",
    "expires_at": "2026-11-25T16:30:00.000Z",
    "inlet": "http",
    "principal": "key:key_1",
    "deliveries": [
        {"id": "dlv_1", "to": "ann@example.org", "state": "deferred",
         "due_at": "2026-11-20T16:31:00Z"},
        {"id": "dlv_2", "to": "bob@example.org", "state": "queued", "possible_duplicate": True},
    ],
    "attempts": [
        {"id": "att_1", "delivery_id": "dlv_1", "number": 1, "session_id": "ses_1",
         "started_at": "2026-11-20T16:30:01Z", "ended_at": "2026-11-20T16:30:01.250Z",
         "outcome": "failed", "stage": "rcpt", "answer": "450 4.2.0 later",
         "advice": "general.greylisted", "transcript": ["C: RCPT TO:<ann@example.org>"]},
    ],
    "sessions": [{"id": "ses_1", "host": "mail.example.net", "address": "192.0.2.1:465",
                  "tls": {"version": "TLSv1.3"}, "mechanism": "PLAIN",
                  "transcript": ["S: 220 hello"]}],
    "events": [{"id": 1, "at": "2026-11-20T16:30:00Z", "name": "message.accepted", "facts": {}},
               {"id": 2, "at": "2026-11-20T16:30:01Z", "name": "delivery.deferred",
                "delivery_id": "dlv_1", "facts": {}}],
}  # fmt: skip


def test_a_message_tells_exactly_what_happened(paper: Paper) -> None:
    """Heading, deliveries with their attempts, timeline, and what else there is to see."""
    story = Story(message=read(Message, MESSAGE), transcript=True)
    message_view.show(story, paper.console)

    assert (
        paper.text
        == """\
msg_1  deferred
  Subject   Order 4711
  From      Shop <shop@example.org>
  Relay     main
  Stream    transactional
  Accepted  2026-11-20 16:30:00  by http for key:key_1
  Expires   2026-11-25 16:30:00

To ann@example.org  deferred
  next attempt 2026-11-20 16:31:00
  Attempt 1  16:30:01  failed at rcpt, 250 ms
    Answer  450 4.2.0 later
    Server  mail.example.net (192.0.2.1:465), TLSv1.3, signed in with PLAIN
    S: 220 hello
    C: RCPT TO:<ann@example.org>

To bob@example.org  queued
  An answer was lost after the final dot: this may arrive twice.
  not tried yet

Timeline
  2026-11-20 16:30:00  accepted
  2026-11-20 16:30:01  deferred  ann@example.org
"""
    )


def test_a_list_fits_80_columns(paper: Paper) -> None:
    """Two lines a message, and how to see older ones."""
    listed = {"data": [MESSAGE], "has_more": True}
    message_view.show_list(read_page(Message, listed), paper.console)

    assert (
        paper.text
        == """\
deferred  msg_1                       2026-11-20 16:30:00
          ann@example.org and 1 more  Order 4711

Older ones: pillarbox message list --after msg_1
"""
    )


def test_watching_tells_an_answer_once(paper: Paper) -> None:
    """The same answer a second time takes one line."""
    first = read(Message, MESSAGE)
    again = {**MESSAGE["attempts"][0], "id": "att_2", "number": 2}
    second = read(Message, {**MESSAGE, "attempts": [*MESSAGE["attempts"], again]})
    message_view.show_news(None, Story(message=first), paper.console)
    message_view.show_news(first, Story(message=second), paper.console)

    assert (
        paper.text
        == """\
16:30:01  ann@example.org  failed at rcpt
          Answer  450 4.2.0 later
16:30:01  ann@example.org  failed at rcpt
"""
    )


RELAY: dict[str, Any] = {
    "id": "rly_1", "name": "main", "kind": "smtp", "host": "mail.example.net", "port": 465,
    "tls": "implicit", "auth": "password", "username": "app", "from": "a@example.org",
    "password": {"set": True, "updated_at": None}, "default": True, "version": 3,
    "max_connections": 2, "minimum_tls": "1.2", "proxy_password": {"set": False},
    "status": {"state": "suspended", "cause": "535 no", "until": "2026-11-20T16:45:00Z"},
}  # fmt: skip


def test_a_relay_shows_what_is_unusual_and_no_secret(paper: Paper) -> None:
    """Settings that every relay has are left out."""
    relay_view.show(read(Relay, RELAY), paper.console)

    assert (
        paper.text
        == """\
main  suspended, tried again at 16:45:00
  Id               rly_1
  Where            mail.example.net:465 implicit
  Sign in          app, password stored
  From             a@example.org
  Default          yes
  Version          3
  max_connections  2

  Cause  535 no

Step by step: pillarbox diagnose main
"""
    )


def test_relays_are_listed_with_their_status(paper: Paper) -> None:
    """One line each."""
    page: Page[Relay] = read_page(Relay, {"data": [RELAY]})
    relay_view.show_list(page, paper.console)

    assert (
        paper.text
        == """\
  Relay  Status     Where                          From
* main   suspended  mail.example.net:465 implicit  a@example.org

* the default
"""
    )


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    """A subject may try to move the cursor, or to turn the line around."""
    assert plain("a\x1b[2Jb\u202ec") == "a�[2Jb�c"


def test_every_advice_reads_well_wherever_it_is_given() -> None:
    """With the place known or not, no placeholder is left."""
    for entry in entries():
        for place in ({}, {"host": "mail.example.net", "port": 465, "tls": "implicit"}):
            found = advice_on(entry["id"], place)
            assert found is not None
            assert "{" not in found.cause + found.fix

    assert advice_on("no.such", {}) is None
