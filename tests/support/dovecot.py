"""
A private Dovecot as a mail provider's submission server, which takes access tokens.

By XOAUTH2 and OAUTHBEARER it takes a token, has it looked at by the authorization server
(RFC 7662), and lets in whose mailbox it opens. What it takes it hands to the next server.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.authorization_server import AuthorizationServer
from support.certificates import issue
from support.peers import free_ports, is_listening, need, need_root
from support.waiting import until

PASSWORD = "correct horse battery staple"  # of a server that lives for one test
HOSTNAME = "submission.pillarbox.test"

_START_SECONDS = 10
_VERSION = "2.3."  # 2.4 reads another configuration

_CONFIGURATION = """
base_dir = {home}/run
state_dir = {home}/run
log_path = {log}
auth_verbose = yes
auth_debug = yes
hostname = {hostname}
protocols = submission
listen = 127.0.0.1
first_valid_uid = 1
mail_location = maildir:~/mail

ssl = required
ssl_cert = <{certificate}
ssl_key = <{certificate}

# A wrong login is told at once: the tests are not the ones who guess.
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}

auth_mechanisms = plain login xoauth2 oauthbearer
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {home}/oauth2.conf
}}
passdb {{
  driver = static
  mechanisms = plain login
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={home}/users/%u
}}

service submission-login {{
  inet_listener submission {{
    port = {starttls}
  }}
  inet_listener submissions {{
    port = {implicit}
    ssl = yes
  }}
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {onward}
submission_relay_trusted = no
"""

_INTROSPECTION = """
introspection_mode = post
introspection_url = {url}
force_introspection = yes
active_attribute = active
active_value = true
username_attribute = mailbox
timeout_msecs = 5000
tls_ca_cert_file = {ca_pem}
"""


@dataclass(frozen=True, slots=True)
class Dovecot:
    """A running server. `starttls_port` takes AUTH only after STARTTLS; anybody has PASSWORD."""

    starttls_port: int
    implicit_port: int
    ca_pem: Path
    log: Path
    password: str = PASSWORD
    host: str = "localhost"

    def transcript(self) -> str:
        """What Dovecot wrote about it."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def logins(self) -> list[str]:
        """Who was let in, each time, by which mechanism: `app@pillarbox.test XOAUTH2`."""
        lines = [line for line in self.transcript().splitlines() if ": Login: " in line]
        return [f"{_between(line, 'user=<')} {_between(line, 'method=', ',')}" for line in lines]

    def refusals(self) -> int:
        """How often somebody was not let in."""
        return self.transcript().count("(auth failed, ")


@contextmanager
def dovecot(
    tmp_path: Path, authorization: AuthorizationServer, *, onward_port: int
) -> Iterator[Dovecot]:
    """
    Serve until the block ends. The log stays in tmp_path. onward_port is of a relay without TLS.

    Its processes give up root's rights and must still reach its folder, which they could not
    below pytest's: that one is for its owner only. So its home is made beside it.
    """
    need_root("Dovecot")
    _need_version()
    with tempfile.TemporaryDirectory(prefix="dovecot-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        own = tmp_path / "dovecot"
        own.mkdir()
        certificates = issue(own, HOSTNAME)
        ports = free_ports(2)
        server = Dovecot(*ports, certificates.ca_pem, tmp_path / "dovecot.log")
        nobody = pwd.getpwnam("nobody")
        (home / "users").mkdir()
        os.chown(home / "users", nobody.pw_uid, nobody.pw_gid)
        names = {
            "certificate": certificates.server_pem,
            "home": home,
            "hostname": HOSTNAME,
            "implicit": server.implicit_port,
            "log": server.log,
            "onward": onward_port,
            "password": PASSWORD.replace(" ", "\\ "),
            "starttls": server.starttls_port,
            "user": nobody.pw_uid,
            "group": nobody.pw_gid,
        }
        asks = {"url": authorization.introspection_url, "ca_pem": authorization.ca_pem}
        (home / "dovecot.conf").write_text(_CONFIGURATION.format_map(names))
        (home / "oauth2.conf").write_text(_INTROSPECTION.format_map(asks))
        with _running(home, ports, server.log):
            yield server


@contextmanager
def _running(home: Path, ports: Sequence[int], log: Path) -> Iterator[None]:
    """Run the master in the foreground, in a session of its own."""
    with (home / "output").open("wb") as output:
        master = subprocess.Popen(
            [need("dovecot"), "-F", "-c", home / "dovecot.conf"],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        until(
            lambda: master.poll() is not None or all(map(is_listening, ports)),
            seconds=_START_SECONDS,
            what="Dovecot's start",
        )
        if master.poll() is not None:
            said = (home / "output").read_text() + (log.read_text() if log.exists() else "")
            raise RuntimeError(f"Dovecot ended at its start:\n{said}")
        yield
    finally:
        os.killpg(master.pid, signal.SIGKILL)  # asked politely, it takes a second
        master.wait()


def _need_version() -> None:
    asked = subprocess.run(
        [need("dovecot"), "--version"], check=True, capture_output=True, text=True
    )
    if not asked.stdout.startswith(_VERSION):
        pytest.fail(f"these tests need Dovecot {_VERSION}x, and here is {asked.stdout.strip()}")


def _between(line: str, start: str, end: str = ">") -> str:
    return line.partition(start)[2].partition(end)[0]
