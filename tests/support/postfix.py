"""
A private Postfix: submission with a password, and mailboxes whose octets can be compared.

It shares nothing with the Postfix of the machine but its programs: configuration, queue, log and
password file are in a folder of its own, so any number of them run side by side.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.certificates import issue
from support.peers import free_ports, is_listening, need, need_root
from support.waiting import until

USERNAME = "app@pillarbox.test"
PASSWORD = "correct horse battery staple"  # of a server that lives for one test
HOSTNAME = "relay.pillarbox.test"

_START_SECONDS = 10
_PREPENDED = (b"return-path:", b"x-original-to:", b"delivered-to:", b"received:")

_MAIN = """
compatibility_level = 3.6
myhostname = {hostname}
mydestination =
mynetworks =
inet_protocols = ipv4
queue_directory = {home}/queue
data_directory = {home}/state
daemon_directory = {daemons}
maillog_file = {log}
maillog_file_prefixes = /
syslog_name = postfix
import_environment = MAIL_CONFIG MAIL_LOGTAG
disable_dns_lookups = yes
smtpd_peername_lookup = no
default_process_limit = 50
smtpd_client_event_limit_exceptions = static:all
smtpd_error_sleep_time = 0
in_flow_delay = 0
fast_flush_domains =
alias_maps =
alias_database =
local_recipient_maps =

# Only programs that know the password get in, and then mail may go anywhere: to our mailboxes.
smtpd_tls_chain_files = {home}/etc/server.pem
smtpd_tls_session_cache_database =
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
smtpd_sasl_security_options = noanonymous
cyrus_sasl_config_path = {home}/etc/sasl
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access texthash:{home}/etc/rejected, permit
virtual_mailbox_domains = static:all
virtual_mailbox_base = {home}/mail
virtual_mailbox_maps = static:box/
virtual_mailbox_limit = 0
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}

# Content arrives as it was sent: no folding, no added or dropped header fields.
local_header_rewrite_clients =
message_drop_headers =
disable_mime_output_conversion = yes
"""

_MASTER = """
{starttls} inet n - n - - smtpd
    -o smtpd_tls_security_level={starttls_level} -o smtpd_tls_auth_only=yes
{implicit} inet n - n - - smtpd
    -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""

_SASL = """
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {home}/etc/passwords
mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What this server refuses. Without rules it takes everything from who knows the password."""

    rejected: Mapping[str, str] = field(default_factory=dict)
    """Recipient, to an action of access(5): `{"gone@b.example": "550 5.1.1 no such user"}`."""
    senders: Mapping[str, str] = field(default_factory=dict)
    """Reverse path, to the one login that may use it. Not empty: all others are refused."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """More lines of main.cf, `{"message_size_limit": "20000"}`."""
    offers_starttls: bool = True

    def main(self, home: Path) -> str:
        lines = [f"{name} = {value}" for name, value in self.settings.items()]
        if self.senders:
            lines += [
                f"smtpd_sender_login_maps = texthash:{home}/etc/senders",
                "smtpd_sender_restrictions = reject_sender_login_mismatch",
            ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Delivered:
    """One file of one mailbox. `octets` is the content as it was sent, lines ending in CRLF."""

    path: Path
    envelope_from: str
    envelope_to: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running server. `starttls_port` takes AUTH only after STARTTLS."""

    starttls_port: int
    implicit_port: int
    ca_pem: Path
    log: Path
    mailbox: Path
    username: str = USERNAME
    password: str = PASSWORD
    host: str = "localhost"

    def delivered(self) -> list[Delivered]:
        """Everything that has arrived, oldest first."""
        files = [path for path in self.mailbox.glob("new/*") if path.is_file()]
        return [_read(path) for path in sorted(files, key=lambda path: path.stat().st_mtime_ns)]

    def wait_delivered(self, count: int, *, seconds: float = 10) -> list[Delivered]:
        """All that has arrived once there are `count`. Fails with the log when they do not come."""
        try:
            until(
                lambda: len(list(self.mailbox.glob("new/*"))) >= count,
                seconds=seconds,
                what=f"delivery of {count} message(s)",
            )
        except TimeoutError as late:
            raise AssertionError(f"{late}\n{self.transcript()}") from None
        return self.delivered()

    def transcript(self) -> str:
        """What Postfix wrote about it."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@contextmanager
def postfix(tmp_path: Path, rules: Rules | None = None) -> Iterator[Postfix]:
    """
    Serve until the block ends. The log stays in tmp_path.

    Postfix gives up root's rights and must still reach its folder, which it could not below
    pytest's: that one is for its owner only. So its home is made beside it.
    """
    need_root("Postfix")
    rules = rules or Rules()
    with tempfile.TemporaryDirectory(prefix="postfix-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        certificates = issue(tmp_path, HOSTNAME)
        starttls, implicit = ports = free_ports(2)
        server = Postfix(
            starttls, implicit, certificates.ca_pem, tmp_path / "postfix.log", home / "mail/box"
        )
        _furnish(home, rules, server)
        shutil.copy(certificates.server_pem, home / "etc/server.pem")
        with running(home, ports, server.log):
            yield server


def _furnish(home: Path, rules: Rules, server: Postfix) -> None:
    """Write the configuration."""
    make_folders(home)
    nobody = pwd.getpwnam("nobody")
    (home / "mail").mkdir()
    os.chown(home / "mail", nobody.pw_uid, nobody.pw_gid)
    names = {
        "home": home,
        "hostname": HOSTNAME,
        "daemons": daemons(),
        "log": server.log,
        "uid": nobody.pw_uid,
        "gid": nobody.pw_gid,
        "starttls": f"127.0.0.1:{server.starttls_port}",
        "implicit": f"127.0.0.1:{server.implicit_port}",
        "starttls_level": "may" if rules.offers_starttls else "none",
    }
    write_settled(home / "etc/main.cf", _MAIN.format_map(names) + rules.main(home))
    write_settled(home / "etc/master.cf", _MASTER.format_map(names))
    write_settled(home / "etc/rejected", _table(rules.rejected))
    write_settled(home / "etc/senders", _table(rules.senders))
    _add_password(home, names)


def _add_password(home: Path, names: Mapping[str, object]) -> None:
    (home / "etc/sasl").mkdir()
    (home / "etc/sasl/smtpd.conf").write_text(_SASL.format_map(names))
    user, _, realm = USERNAME.partition("@")
    passwords = home / "etc/passwords"
    command = [need("saslpasswd2"), "-p", "-c", "-f", str(passwords), "-u", realm, user]
    subprocess.run(command, input=PASSWORD.encode(), check=True, capture_output=True)
    shutil.chown(passwords, "postfix")


def _table(entries: Mapping[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in entries.items())


def _read(path: Path) -> Delivered:
    """
    Undo what Postfix did to the content: four header fields before it, LF for CRLF.

    It prepends Return-Path, X-Original-To and Delivered-To at delivery, and one Received when
    it took the message. No more than one of each is removed, so a Received we sent survives.
    """
    lines = path.read_bytes().split(b"\n")
    prepended: dict[bytes, bytes] = {}
    while lines:
        name = lines[0].lower().partition(b" ")[0]
        if name not in _PREPENDED or name in prepended:
            break
        prepended[name] = lines.pop(0).partition(b" ")[2]
        while lines and lines[0].startswith((b" ", b"\t")):
            lines.pop(0)
    return Delivered(
        path,
        prepended[b"return-path:"].decode().strip("<>"),
        prepended[b"x-original-to:"].decode(),
        b"\r\n".join(lines),
    )


def daemons() -> Path:
    """Where Postfix keeps its server programs."""
    asked = subprocess.run(
        [need("postconf"), "-d", "-h", "daemon_directory"],
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(asked.stdout.strip())


def write_settled(path: Path, text: str) -> None:
    """A file that says it is an hour old: Postfix waits seconds for one that was just changed."""
    path.write_text(text)
    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))


def make_folders(home: Path) -> None:
    """The folders `postfix start` would make, without its slow looks at everything else."""
    for name in ("etc", "queue", "queue/pid"):
        (home / name).mkdir()
    owned = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming")
    for name in (*(f"queue/{name}" for name in (*owned, "private", "saved", "trace")), "state"):
        (home / name).mkdir(mode=0o700)
        shutil.chown(home / name, "postfix")
    for name in ("maildrop", "public"):
        (home / "queue" / name).mkdir()
        shutil.chown(home / "queue" / name, "postfix", "postdrop")


@contextmanager
def running(home: Path, ports: Sequence[int], log: Path) -> Iterator[int]:
    """Run Postfix's master in the foreground, in a session of its own. Yields its process id."""
    need("postfix")
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "MAIL_CONFIG": str(home / "etc")}
    with (home / "output").open("wb") as output:
        master = subprocess.Popen(
            [daemons() / "master", "-c", home / "etc", "-d"],
            cwd=home / "queue",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        until(
            lambda: master.poll() is not None or all(map(is_listening, ports)),
            seconds=_START_SECONDS,
            what="Postfix's start",
        )
        if master.poll() is not None:
            said = (home / "output").read_text() + (log.read_text() if log.exists() else "")
            raise RuntimeError(f"Postfix ended at its start:\n{said}")
        yield master.pid
    finally:
        _stop(master)


def _stop(master: subprocess.Popen[bytes]) -> None:
    """Ask the master to end; it ends its children. Whoever is left after 5 s is killed."""
    master.terminate()
    try:
        master.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(master.pid, signal.SIGKILL)
        master.wait(5)
