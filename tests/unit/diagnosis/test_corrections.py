"""What was probably meant, from what was typed and how it failed. Nobody is contacted."""

from __future__ import annotations

from typing import Any

import pytest

from pillarbox.base.secret import Secret
from pillarbox.diagnosis import ports
from pillarbox.diagnosis.case import Case
from pillarbox.diagnosis.corrections import corrections, of_doors
from pillarbox.mail.outcome import Answer, Blame, Failed, Lack, Loss, Lost, Stage, Withheld
from pillarbox.mail.reply import Reply
from pillarbox.relays.change import RelayChange
from pillarbox.relays.relay import Secrets, credentials, endpoint
from pillarbox.smtp.endpoint import TlsMode

IMPLICIT, STARTTLS = TlsMode.IMPLICIT, TlsMode.STARTTLS
SECRETS = Secrets(password=Secret("pencil"))


def case(**typed: Any) -> Case:
    settings = RelayChange.read({"host": "mail.example.org", **typed}).apply_to(None)
    return Case(
        settings=settings,
        endpoint=endpoint(settings, SECRETS),
        credentials=credentials(settings, SECRETS),
    )


def failed(stage: Stage, answer: Answer) -> Failed:
    return Failed(stage, Blame.RELAY, permanent=False, answer=answer)


NO_SUCH_NAME = failed(Stage.DNS, Lost(Loss.NAME_NOT_FOUND, "there is no such host"))
NO_ANSWER = failed(Stage.CONNECT, Lost(Loss.TIMEOUT, "no answer"))
WRONG_PASSWORD = failed(Stage.AUTH, Reply(535, ("5.7.8 no",)))


@pytest.mark.parametrize(
    ("typed", "failure", "meant"),
    [
        ("smtp.gmial.com", NO_SUCH_NAME, "smtp.gmail.com"),
        ("smtp.sengrid.net", NO_SUCH_NAME, "smtp.sendgrid.net"),
        ("smtp.office356.com", NO_SUCH_NAME, "smtp.office365.com"),
        ("gmail.com", NO_ANSWER, "smtp.gmail.com"),
        ("sendgrid", NO_SUCH_NAME, "smtp.sendgrid.net"),
        ("mail.example.org", NO_SUCH_NAME, None),
        ("smtp.gmail.com", NO_ANSWER, None),
        ("smtp.gmial.com", WRONG_PASSWORD, None),
    ],
)
def test_a_host_that_is_nearly_a_providers(typed: str, failure: Failed, meant: str | None) -> None:
    """A slip of the finger and a mail domain lead to the provider's server, nothing else does."""
    proposals = corrections(case(host=typed, auth="none"), failure)

    assert [each.change.get("host") for each in proposals] == ([meant] if meant else [])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ({"host": "smtp.sendgrid.net", "username": "ann@a.example"}, "apikey"),
        ({"host": "smtp.sendgrid.net", "username": "apikey"}, None),
        ({"host": "smtp.gmail.com", "username": "ann"}, "ann@gmail.com"),
        ({"host": "smtp.gmail.com", "username": "ann", "from": "ann@a.example"}, "ann@a.example"),
        ({"host": "smtp.gmail.com", "username": "ann", "from": "x@a.example"}, "ann@a.example"),
        ({"host": "smtp.gmail.com", "username": "ann@gmail.com"}, None),
        ({"host": "mail.example.org", "username": "ann"}, None),
    ],
)
def test_a_user_name_of_the_wrong_form(typed: dict[str, str], meant: str | None) -> None:
    """What the provider expects is known; where it is not, nothing is guessed."""
    proposals = corrections(case(**typed), WRONG_PASSWORD)

    assert [each.change["username"] for each in proposals] == ([meant] if meant else [])


def test_a_sign_in_that_is_not_offered_says_nothing_about_the_user_name() -> None:
    """Only an answer of the server can."""
    not_offered = failed(Stage.AUTH, Withheld(Lack.AUTH, "no AUTH"))

    assert corrections(case(host="smtp.sendgrid.net", username="ann"), not_offered) == ()


def test_a_proposal_can_be_made_as_it_is_and_says_what_it_costs() -> None:
    """The stored password is bound to port and TLS mode, so it is asked for again."""
    typed = case(port=587, username="ann")

    [proposal] = of_doors(typed, [(465, IMPLICIT)])
    changed = RelayChange.read(proposal.change).apply_to(typed.settings)

    assert (changed.port, changed.tls) == (465, IMPLICIT)
    assert proposal.asks_again == ("password",)
    assert "mail.example.org answers on 465" in proposal.why
    assert of_doors(case(port=587), [(465, IMPLICIT)])[0].asks_again == ()


@pytest.mark.parametrize(
    ("failure", "is_tried"),
    [
        (NO_ANSWER, True),
        (failed(Stage.CONNECT, Lost(Loss.REFUSED, "")), True),
        (failed(Stage.TLS, Lost(Loss.NOT_TLS, "")), True),
        (failed(Stage.GREETING, Lost(Loss.TIMEOUT, "")), True),
        (failed(Stage.STARTTLS, Withheld(Lack.STARTTLS, "")), True),
        (failed(Stage.AUTH, Withheld(Lack.AUTH, "")), True),
        (NO_SUCH_NAME, False),
        (WRONG_PASSWORD, False),
        (failed(Stage.CONNECT, Lost(Loss.FORBIDDEN_ADDRESS, "")), False),
        (failed(Stage.TLS, Lost(Loss.CERTIFICATE_EXPIRED, "")), False),
        (failed(Stage.TLS, Lost(Loss.CERTIFICATE_PIN, "")), False),
        (failed(Stage.MAIL, Reply(530, ("5.7.0 Must issue a STARTTLS command first",))), False),
    ],
)
def test_other_ports_are_tried_only_where_they_can_help(failure: Failed, is_tried: bool) -> None:
    """A forbidden address is never tried again by another door, nor a certificate dodged."""
    assert ports.may_be_the_wrong_door(case(port=587), failure) is is_tried


def test_a_server_in_the_clear_that_wants_starttls_first_is_the_wrong_door() -> None:
    """RFC 3207 §4: 530 says so."""
    refused = failed(Stage.MAIL, Reply(530, ("5.7.0 Must issue a STARTTLS command first",)))

    assert ports.may_be_the_wrong_door(case(port=25, tls="none"), refused)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ({"port": 587}, [(465, IMPLICIT), (2525, STARTTLS), (25, STARTTLS)]),
        ({"port": 465}, [(587, STARTTLS), (2525, STARTTLS), (25, STARTTLS)]),
        (
            {"port": 1025, "tls": "starttls"},
            [(1025, IMPLICIT), (465, IMPLICIT), (587, STARTTLS), (2525, STARTTLS), (25, STARTTLS)],
        ),
        (
            {"port": 25, "tls": "none"},
            [(25, STARTTLS), (465, IMPLICIT), (587, STARTTLS), (2525, STARTTLS)],
        ),
        (
            {"host": "email-smtp.eu-west-1.amazonaws.com", "port": 2525, "username": "AKIA"},
            [
                (465, IMPLICIT),
                (587, STARTTLS),
                (25, STARTTLS),
                (2465, IMPLICIT),
                (2587, STARTTLS),
            ],
        ),
    ],
)
async def test_which_doors_are_tried(
    typed: dict[str, Any], expected: list[ports.Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same port in another mode, the provider's own ports, the usual ones; no others."""
    asked: list[ports.Door] = []

    async def knock(_case: Case, door: ports.Door, *_: object) -> bool:
        asked.append(door)
        return door == expected[-1]

    monkeypatch.setattr(ports, "_knock", knock)
    nobody: Any = None
    found = await ports.search(case(**typed), ports.USUAL_DOORS, nobody, nobody)

    assert asked == expected
    assert found.answering == (expected[-1],)
