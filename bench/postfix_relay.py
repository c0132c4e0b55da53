"""Postfix as a durable relay, tuned: smtp-source → Postfix → smtp-sink."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.contender import LIMIT_SECONDS, Contender
from bench.message import CONTENT, RECIPIENT, SENDER
from bench.sink import sink
from support.peers import free_ports, need, need_root
from support.postfix import daemons, make_folders, running, write_settled

MESSAGES = 2500
SESSIONS = 20

# Tried, three rounds on two busy cores: without the connection cache, or with 5 at a time, it was
# mostly slower, within the noise. Flow control and rate limits guard what is not here: off.
_MAIN = """
compatibility_level = 3.6
myhostname = bench.test
mydestination =
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink}
queue_directory = {home}/queue
data_directory = {home}/state
daemon_directory = {daemons}
maillog_file = {home}/postfix.log
maillog_file_prefixes = /
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
disable_dns_lookups = yes
smtp_host_lookup = native
smtpd_client_event_limit_exceptions = static:all
in_flow_delay = 0
default_process_limit = 100
initial_destination_concurrency = 20
default_destination_concurrency_limit = 20
smtp_connection_cache_on_demand = yes
smtp_connection_cache_destinations = static:all
smtp_connection_reuse_count_limit = 1000
smtpd_tls_security_level = none
smtp_tls_security_level = none
local_header_rewrite_clients =
alias_maps =
"""

_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
smtp unix - - n - - smtp
scache unix - - n - 1 scache
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


@contextmanager
def postfix_relay() -> Iterator[Contender]:
    need_root("Postfix")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, sink() as there:
        home = Path(folder)
        home.chmod(0o755)
        make_folders(home)
        [port] = free_ports(1)
        names = {"home": home, "sink": there.port, "port": port, "daemons": daemons()}
        write_settled(home / "etc/main.cf", _MAIN.format_map(names))
        write_settled(home / "etc/master.cf", _MASTER.format_map(names))
        content = home / "message"
        content.write_bytes(CONTENT.replace(b"\r\n", b"\n"))
        source = [need("smtp-source"), "-d", "-s", str(SESSIONS), "-f", SENDER, "-t", RECIPIENT]

        def hand_over(messages: int) -> None:
            order = ["-F", str(content), "-m", str(messages), f"127.0.0.1:{port}"]
            subprocess.run([*source, *order], check=True, timeout=LIMIT_SECONDS)

        with running(home, [port], home / "postfix.log") as pid:
            yield Contender("Postfix, durable, tuned", MESSAGES, pid, there, hand_over)
