"""The main job, as a newcomer does it: the installed program, a relay, mail at a real server."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.letters import letter
from support.node_sink import node_sink
from support.postfix import postfix
from support.program import Program, program
from support.waiting import until

COUNT = 200


def add_relay(box: Program, *options: str, password: str) -> None:
    done = box.run(
        "relay",
        "add",
        "main",
        "--password-stdin",
        "--from",
        "Laden <shop@shop.test>",
        "--default",
        *options,
        stdin=password,
    )
    assert done.returncode == 0, done.stderr


def send_all(box: Program, letters: list[dict[str, Any]]) -> list[str]:
    """Hand them over by HTTP, eight at a time; the ids, in order."""
    key = box.new_key()

    def send(body: dict[str, Any]) -> str:
        answer = box.ask("POST", "/v1/messages", body, key=key)
        assert answer.status == 202, answer.body
        return str(answer.body["id"])

    with ThreadPoolExecutor(8) as several:
        return list(several.map(send, letters))


def content_of(box: Program, key: str, message_id: str) -> bytes:
    answer = box.ask("GET", f"/v1/messages/{message_id}/content", key=key)
    assert answer.status == 200
    return str(answer.body).encode()


def wait_all_relayed(box: Program, key: str, count: int) -> None:
    def unfinished() -> bool:
        found = box.ask("GET", "/v1/messages?state=relayed&limit=1", key=key).body["data"]
        waiting = [
            box.ask("GET", f"/v1/messages?state={state}&limit=1", key=key).body["data"]
            for state in ("queued", "sending", "deferred", "uncertain", "failed")
        ]
        return bool(found) and not any(waiting)

    until(unfinished, seconds=60, what=f"the end of {count} messages")


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_200_messages_arrive_at_postfix_octet_for_octet(tmp_path: Path, tls: str) -> None:
    """TLS by our own authority, a password, attachments, UTF-8 and dots; nothing is altered."""
    seed = time.time_ns() % 10**9
    print(f"seed {seed}")
    chance = random.Random(seed)
    letters = [letter(number, chance) for number in range(COUNT)]
    with postfix(tmp_path) as server, program(tmp_path) as box:
        port = server.starttls_port if tls == "starttls" else server.implicit_port
        add_relay(
            box,
            *("--host", server.host, "--port", str(port), "--tls", tls),
            *("--auth", "password", "--username", server.username),
            *("--set", f"authorities={server.ca_pem.read_text()}"),
            password=server.password,
        )
        report = box.run("diagnose", "main", "--to", "user0@kunde.test")
        assert report.returncode == 0, report.stdout + report.stderr

        ids = send_all(box, letters)
        key = box.new_key("reader")
        wait_all_relayed(box, key, COUNT)
        copies = sum(2 if "cc" in each else 1 for each in letters)
        delivered = server.wait_delivered(copies, seconds=60)

        sent = {message_id: content_of(box, key, message_id) for message_id in ids}
    arrived = Counter(each.octets for each in delivered)
    expected = Counter()
    for message_id, body in zip(ids, letters, strict=True):
        expected[sent[message_id]] += 2 if "cc" in body else 1
    assert arrived == expected


def test_the_command_line_tells_what_happened(tmp_path: Path) -> None:
    """send --wait follows it to its end; message show names the server, TLS and its answer."""
    with postfix(tmp_path) as server, program(tmp_path) as box:
        add_relay(
            box,
            *("--host", server.host, "--port", str(server.starttls_port), "--tls", "starttls"),
            *("--auth", "password", "--username", server.username),
            *("--set", f"authorities={server.ca_pem.read_text()}"),
            password=server.password,
        )
        attached = tmp_path / "Bericht für Ärzte.txt"
        attached.write_text("…")
        sent = box.run(
            *("send", "--to", "ann@kunde.test", "--subject", "Grüße", "--text", ".\n..\nende"),
            *("--attach", str(attached), "--wait", "--json"),
        )
        assert sent.returncode == 0, sent.stderr
        (letter_,) = server.wait_delivered(1)
        message_id = box.run_json("message", "list")["data"][0]["id"]
        shown = box.run("message", "show", message_id, "--transcript").stdout

    assert b"=?utf-8?" in letter_.octets.lower()
    for expected in ("relayed", "ann@kunde.test", "250 2.0.0", "TLS 1.3", "STARTTLS"):
        assert expected in shown
    assert server.password not in shown


def test_mail_arrives_at_nodemailers_server_octet_for_octet(tmp_path: Path) -> None:
    """Another implementation of the protocol, another reading of the same octets."""
    chance = random.Random(5)
    letters = [letter(number, chance) for number in range(40)]
    with node_sink(tmp_path) as sink, program(tmp_path) as box:
        add_relay(
            box,
            *("--host", sink.host, "--port", str(sink.port), "--tls", "starttls"),
            *("--auth", "password", "--username", sink.options.username),
            *("--set", f"authorities={sink.ca_pem.read_text()}"),
            password=sink.options.password,
        )
        ids = send_all(box, letters)
        kept = sink.wait_kept(len(letters), seconds=40)
        key = box.new_key("reader")
        sent = Counter(content_of(box, key, message_id) for message_id in ids)

    assert Counter(each.octets for each in kept) == sent


def test_mail_waits_without_a_server_and_leaves_when_one_starts(tmp_path: Path) -> None:
    """The command line works on the database when nothing runs; nothing is lost meanwhile."""
    with postfix(tmp_path) as server:
        box = Program(tmp_path, 0)
        with program(tmp_path) as running:
            add_relay(
                running,
                *("--host", server.host, "--port", str(server.implicit_port), "--tls", "implicit"),
                *("--auth", "password", "--username", server.username),
                *("--set", f"authorities={server.ca_pem.read_text()}"),
                password=server.password,
            )
            assert running.terminate() == 0
            box = running
            sent = box.run("send", "--to", "ann@kunde.test", "--subject", "Hi", "--text", "Hi")
            assert sent.returncode == 0, sent.stderr
            assert "serve" in sent.stdout + sent.stderr
            assert server.delivered() == []

            box.start()
            server.wait_delivered(1, seconds=20)
