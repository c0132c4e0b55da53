"""SASL mechanisms without a relay: what each says, and what it refuses to believe."""

from __future__ import annotations

import base64

import pytest

from pillarbox.base.secret import Secret
from pillarbox.mail.reply import Reply
from pillarbox.smtp import sasl
from pillarbox.smtp.capabilities import Capabilities
from pillarbox.smtp.endpoint import Credentials, Mechanism
from pillarbox.smtp.opening import Peer, authenticate
from pillarbox.smtp.steps import Say

PASSWORD = Credentials(username="user", secret=Secret("pencil"))
TOKEN = Credentials(username="a,b=c@x.test", secret=Secret("tok"), is_token=True)
NONCE = "rOprNGfwEbeRWgbNEkqO"


def begin(mechanism: Mechanism, credentials: Credentials = PASSWORD) -> sasl.Exchange:
    return sasl.begin(mechanism, credentials, host="relay.test", port=587, nonce=NONCE)


@pytest.mark.parametrize(
    ("offered", "credentials", "chosen"),
    [
        ("LOGIN PLAIN SCRAM-SHA-256", PASSWORD, Mechanism.SCRAM_SHA_256),
        ("CRAM-MD5 LOGIN PLAIN", PASSWORD, Mechanism.PLAIN),
        ("CRAM-MD5 LOGIN", PASSWORD, Mechanism.LOGIN),
        ("CRAM-MD5", PASSWORD, Mechanism.CRAM_MD5),
        ("XOAUTH2 OAUTHBEARER", PASSWORD, None),
        ("PLAIN OAUTHBEARER XOAUTH2", TOKEN, Mechanism.XOAUTH2),
        ("PLAIN OAUTHBEARER", TOKEN, Mechanism.OAUTHBEARER),
        ("PLAIN LOGIN", TOKEN, None),
        ("", PASSWORD, None),
    ],
)
def test_the_best_offered_mechanism_that_fits_is_chosen(
    offered: str, credentials: Credentials, chosen: Mechanism | None
) -> None:
    """A token is never sent as a password, nor a password as a token."""
    assert sasl.choose(credentials, tuple(offered.split())) is chosen


def test_a_mechanism_asked_for_is_the_only_one() -> None:
    """If the relay does not offer it, there is none."""
    wanted = Credentials(username="u", secret=Secret("p"), mechanism=Mechanism.LOGIN)
    assert sasl.choose(wanted, ("PLAIN", "LOGIN")) is Mechanism.LOGIN
    assert sasl.choose(wanted, ("PLAIN",)) is None


def test_oauthbearer_is_written_as_the_rfc_has_it() -> None:
    """RFC 7628 §3.1, with the two escapes of a user name."""
    expected = b"n,a=a=2Cb=3Dc@x.test,\1host=relay.test\1port=587\1auth=Bearer tok\1\1"
    assert next(begin(Mechanism.OAUTHBEARER, TOKEN)) == expected


@pytest.mark.parametrize(
    "server_first",
    [
        b"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=500001",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=9999999999999",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=!!,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,i=4096",
        b"m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"\xff",
        b"",
    ],
)
def test_scram_refuses_a_first_message_that_is_wrong(server_first: bytes) -> None:
    """Nonce, salt and iterations are checked before the password is touched."""
    exchange = begin(Mechanism.SCRAM_SHA_256)
    next(exchange)
    with pytest.raises(sasl.Unproven):
        exchange.send(server_first)


@pytest.mark.parametrize("mechanism", [Mechanism.PLAIN, Mechanism.LOGIN, Mechanism.CRAM_MD5])
def test_a_relay_that_goes_on_asking_is_not_answered(mechanism: Mechanism) -> None:
    """A mechanism says what it has to say, and nothing after it."""
    exchange = begin(mechanism)
    next(exchange)
    with pytest.raises(sasl.Unproven):
        _ask_five_times(exchange)


def _ask_five_times(exchange: sasl.Exchange) -> None:
    for _ in range(5):
        exchange.send(b"and?")


def test_a_long_initial_response_waits_for_the_challenge() -> None:
    """RFC 4954 §4: AUTH is a command line of at most 512 octets; the response may be longer."""
    long = Credentials(username="u", secret=Secret("x" * 1_000), is_token=True)
    talk = authenticate(long, Capabilities(mechanisms=("XOAUTH2",)), Peer("h", 25, NONCE))

    step = next(talk)
    assert isinstance(step, Say)
    assert step.octets == b"AUTH XOAUTH2\r\n"
    step = talk.send(Reply(334, ()))
    assert isinstance(step, Say)
    assert base64.b64decode(step.octets).startswith(b"user=u\1auth=Bearer xxx")
    assert step.shown == "(secret)"
    with pytest.raises(StopIteration) as end:
        talk.send(Reply(235, ("in",)))
    assert end.value.value is Mechanism.XOAUTH2
