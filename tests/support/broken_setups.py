"""Set-ups as people break them: what is on the network, what was typed, and what mends it."""

from __future__ import annotations

from support.authorization_server import (
    CLIENT,
    CLIENT_SECRET,
    MAILBOX,
    SCOPES,
    authorization_server,
)
from support.broken_world import (
    ANN,
    HOST,
    PASSWORD,
    WRONG_PASSWORD,
    Broken,
    Elsewhere,
    Offered,
    Typed,
    World,
    sentence,
)
from support.dovecot import dovecot
from support.ledger_relay import ledger_relay
from support.postfix import Rules, postfix

_LOGIN = {"host": HOST, "username": ANN, "from": ANN}


def _postfix(world: World) -> None:
    """A real one, with the account and the sender rules of its own kind."""
    rules = Rules(senders={"app@pillarbox.test": "app@pillarbox.test"})
    server = world.stack.enter_context(postfix(world.folder, rules))
    world.passwords["SMTP_PASSWORD"] = server.password
    world.company_pem = server.ca_pem.read_bytes()
    world.net.open("relay.pillarbox.test", 587, behind=server.starttls_port)


def _provider_with_tokens(world: World) -> None:
    """A relay that signed in with OAuth 2.0, until somebody took the consent back."""
    onward = world.stack.enter_context(ledger_relay(world.folder))
    tokens = world.stack.enter_context(authorization_server(world.folder))
    door = world.stack.enter_context(dovecot(world.folder, tokens, onward_port=onward.port))
    world.company_pem = door.ca_pem.read_bytes()
    world.net.open("submission.pillarbox.test", 587, behind=door.starttls_port)
    world.tokens = tokens
    world.passwords["CLIENT_SECRET"] = CLIENT_SECRET
    world.live()
    settings = {
        "client_id": CLIENT,
        "authorize_url": tokens.authorize_url,
        "token_url": tokens.token_url,
        "scopes": " ".join(SCOPES),
        "authorities": "@company.pem",
    }
    said = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    where = ("--host", "submission.pillarbox.test", "--port", "587", "--from", MAILBOX)
    who = ("--auth", "oauth2", "--username", MAILBOX, "--client-secret-env", "CLIENT_SECRET")
    added = world.box.run("relay", "add", "main", *where, *who, *said)
    assert added.returncode == 0, added.stderr
    _connect(world)
    tokens.revoke(MAILBOX)


def _connect(world: World) -> None:
    """As after a person said yes in the browser: see test_consent_to_mail.py for that."""
    assert world.tokens is not None
    token = world.tokens.issue().refresh_token
    done = world.box.run("relay", "connect", "main", "--refresh-token-stdin", stdin=f"{token}\n")
    assert done.returncode == 0, done.stdout + done.stderr


def _renew(world: World) -> None:
    world.servers[HOST].context = world.certificate(HOST)


def _allow_smtp_auth(world: World) -> None:
    del world.servers["smtp.office365.com"].instead["AUTH"]


def _allow_sender(world: World) -> None:
    world.servers[HOST].senders.add("shop@example.org")


BROKEN = (
    Broken(
        title="The port is closed",
        build=lambda world: world.server(HOST, (587, "starttls")),
        typed=_LOGIN | {"port": "2587", "tls": "starttls"},
        stage="connect",
        advice="network.refused",
        cause="nothing listens on port 2587",
        cure=Offered({"port": 587, "tls": "starttls"}),
    ),
    Broken(
        title="A firewall drops the port",
        build=lambda world: (
            world.server(HOST, (587, "starttls")),
            world.net.block(HOST, 465),
        ),
        typed=_LOGIN | {"port": "465"},
        stage="connect",
        advice="network.port-blocked",
        cause="a firewall or a hoster blocks the port",
        cure=Offered({"port": 587, "tls": "starttls"}),
    ),
    Broken(
        title="Port and TLS mode contradict each other",
        build=lambda world: world.server(HOST, (465, "implicit"), (587, "starttls")),
        typed=_LOGIN | {"port": "465", "tls": "starttls"},
        stage=None,
        advice=None,
        cause="port 465 speaks TLS from the first octet: set tls to implicit",
        cure=Typed({"tls": "implicit"}),
    ),
    Broken(
        title="TLS from the start where the server begins in the clear",
        build=lambda world: world.server(HOST, (1587, "starttls")),
        typed=_LOGIN | {"port": "1587", "tls": "implicit"},
        stage="tls",
        advice="tls.not-tls",
        cause="answers on port 1587, but not with TLS",
        cure=Offered({"port": 1587, "tls": "starttls"}),
    ),
    Broken(
        title="STARTTLS where the server wants TLS from the start",
        build=lambda world: world.server(HOST, (1465, "implicit")),
        typed=_LOGIN | {"port": "1465", "tls": "starttls"},
        stage="greeting",
        advice="network.slow-greeting",
        cause="takes the connection on port 1465 and then says nothing",
        cure=Offered({"port": 1465, "tls": "implicit"}),
    ),
    Broken(
        title="The name of the host has a typing error",
        build=lambda world: world.server(
            "smtp.gmail.com", (465, "implicit"), accounts={"ann@gmail.com": PASSWORD}
        ),
        typed={
            "host": "smtp.gmial.com",
            "port": "465",
            "username": "ann@gmail.com",
            "from": "ann@gmail.com",
        },
        stage="dns",
        advice="network.name",
        cause="no host named smtp.gmial.com",
        cure=Offered({"host": "smtp.gmail.com", "port": 465, "tls": "implicit"}),
    ),
    Broken(
        title="The password is wrong",
        build=lambda world: (
            world.server(HOST, (587, "starttls")),
            world.passwords.update(SMTP_PASSWORD=WRONG_PASSWORD),
        ),
        typed=_LOGIN | {"port": "587"},
        stage="auth",
        advice="auth.wrong-password",
        cause="user name or the password",
        cure=Typed(password=PASSWORD),
    ),
    Broken(
        title="The account's password where an app password is wanted",
        build=lambda world: (
            world.server(
                "smtp.gmail.com",
                (465, "implicit"),
                accounts={"ann@gmail.com": "abcd efgh ijkl mnop"},
                wrong_login=sentence("google.app-password"),
            ),
        ),
        typed={"preset": "gmail", "username": "ann@gmail.com", "from": "ann@gmail.com"},
        stage="auth",
        advice="google.app-password",
        cause="2-step verification",
        cure=Typed(password="abcd efgh ijkl mnop"),
    ),
    Broken(
        title="The user name lacks its domain",
        build=lambda world: world.server(
            "smtp.gmail.com",
            (465, "implicit"),
            accounts={"ann@gmail.com": PASSWORD},
            wrong_login=sentence("google.wrong-password"),
        ),
        typed={"preset": "gmail", "username": "ann", "from": "ann@gmail.com"},
        stage="auth",
        advice="google.wrong-password",
        cause="Google refused the password",
        cure=Offered({"username": "ann@gmail.com"}),
    ),
    Broken(
        title="The user name is not the provider's word",
        build=lambda world: world.server(
            "smtp.sendgrid.net",
            (587, "starttls"),
            accounts={"apikey": PASSWORD},
            wrong_login=sentence("sendgrid.wrong-key"),
        ),
        typed={"preset": "sendgrid", "username": ANN, "from": ANN},
        stage="auth",
        advice="sendgrid.wrong-key",
        cause="SendGrid",
        cure=Offered({"username": "apikey"}),
    ),
    Broken(
        title="Nobody signs in where the server wants it",
        build=lambda world: world.server(HOST, (587, "starttls")),
        typed={"host": HOST, "port": "587", "from": ANN},
        stage="mail",
        advice="auth.required",
        cause="sign",
        cure=Typed({"username": ANN}, PASSWORD),
    ),
    Broken(
        title="SMTP AUTH is switched off by policy",
        build=lambda world: world.server(
            "smtp.office365.com",
            (587, "starttls"),
            instead={"AUTH": sentence("microsoft.smtp-auth-off-tenant")},
        ),
        typed={"preset": "microsoft-365", "username": ANN, "from": ANN},
        stage="auth",
        advice="microsoft.smtp-auth-off-tenant",
        cause="switched off",
        cure=Elsewhere("The administrator allows SMTP AUTH again.", _allow_smtp_auth),
    ),
    Broken(
        title="The certificate has expired",
        build=lambda world: world.server(
            HOST, (587, "starttls"), context=world.certificate(HOST, days=-3)
        ),
        typed=_LOGIN | {"port": "587"},
        stage="tls",
        advice="tls.expired",
        cause="has expired",
        cure=Elsewhere("The server's administrator renews the certificate.", _renew),
    ),
    Broken(
        title="The certificate is by an authority that nobody here knows",
        build=lambda world: world.server(
            HOST, (587, "starttls"), context=world.certificate(HOST, authority=world.own)
        ),
        typed=_LOGIN | {"port": "587"},
        stage="tls",
        advice="tls.untrusted",
        cause="authority",
        cure=Typed({"set": "authorities=@company.pem"}),
    ),
    Broken(
        title="The certificate is for another name",
        build=lambda world: (
            world.server(HOST, (587, "starttls"), context=world.certificate("mail.example.org")),
            world.net.alias("mail.example.org", HOST),
        ),
        typed=_LOGIN | {"port": "587"},
        stage="tls",
        advice="tls.name",
        cause="name",
        cure=Typed({"host": "mail.example.org"}),
    ),
    Broken(
        title="The account may not send as this address",
        build=_postfix,
        typed={
            "host": "relay.pillarbox.test",
            "port": "587",
            "username": "app@pillarbox.test",
            "from": "shop@pillarbox.test",
            "set": "authorities=@company.pem",
        },
        stage="rcpt",
        advice="sender.not-owned",
        cause="may not send as this address",
        cure=Typed({"from": "app@pillarbox.test"}),
    ),
    Broken(
        title="The consent was taken back",
        build=_provider_with_tokens,
        typed={"relay": "main"},
        stage="token",
        advice="token.grant-gone",
        cause="takes the refresh token no more: it was revoked",
        cure=Elsewhere("The person allows it again: `pillarbox relay connect main`.", _connect),
    ),
)
