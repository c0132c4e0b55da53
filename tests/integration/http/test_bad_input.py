"""Whatever is wrong with a message is told with its field, all at once, and nothing is stored."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from support.desk import HELLO, Counter

LONG = "x" * 1000
ATTACHMENT = {"filename": "a.txt", "content": "aGk="}

BAD: list[tuple[str, Any, str]] = [
    # Wrong types.
    ("from", 1, "/from"),
    ("from", ["ann@example.org"], "/from"),
    ("from", {}, "/from/email"),
    ("from", {"email": 1}, "/from/email"),
    ("from", {"email": "ann@example.org", "name": 1}, "/from/name"),
    ("from", {"email": "ann@example.org", "nmae": "Ann"}, "/from/nmae"),
    ("from", {"email": "Ann <ann@example.org>"}, "/from/email"),
    ("to", 1, "/to"),
    ("to", True, "/to"),
    ("to", [["bob@example.org"]], "/to/0"),
    ("to", ["bob@example.org", None], "/to/1"),
    ("to", {"email": None}, "/to/email"),
    ("cc", 1.5, "/cc"),
    ("bcc", False, "/bcc"),
    ("reply_to", [1], "/reply_to/0"),
    ("subject", ["Hi"], "/subject"),
    ("text", {"a": 1}, "/text"),
    ("html", 0, "/html"),
    ("attachments", ATTACHMENT, "/attachments"),
    ("attachments", ["a.txt"], "/attachments/0"),
    ("attachments", [ATTACHMENT, ATTACHMENT | {"filename": 1}], "/attachments/1/filename"),
    ("headers", [], "/headers"),
    ("headers", {"X-A": 1}, "/headers/X-A"),
    ("headers", {"X/A~": 1}, "/headers/X~1A~0"),
    ("list_unsubscribe", "https://example.org", "/list_unsubscribe"),
    ("list_unsubscribe", {"url": "http://example.org"}, "/list_unsubscribe/url"),
    ("list_unsubscribe", {"one_click": 1}, "/list_unsubscribe/one_click"),
    ("priority", "urgent", "/priority"),
    ("priority", 1, "/priority"),
    ("calendar", {"method": "REQUEST"}, "/calendar/content"),
    ("relay", 1, "/relay"),
    ("relay", "", "/relay"),
    ("relay", "nowhere", "/relay"),
    ("stream", "fast", "/stream"),
    ("send_at", 1700000000, "/send_at"),
    ("send_at", "tomorrow", "/send_at"),
    ("send_at", "2026-11-20T14:00:00", "/send_at"),
    ("send_at", "2026-13-20T14:00:00Z", "/send_at"),
    ("send_at", "9999-12-31T23:59:59-23:59", "/send_at"),
    ("send_at", "2020-01-01T00:00:00Z", "/send_at"),
    ("expires_at", "2020-01-01T00:00:00Z", "/expires_at"),
    ("expires_at", "0001-01-01T00:00:00+23:00", "/expires_at"),
    ("tags", "a", "/tags"),
    ("tags", ["a b"], "/tags/0"),
    ("tags", [1], "/tags/0"),
    ("metadata", ["a"], "/metadata"),
    ("metadata", {"a": 1}, "/metadata/a"),
    ("dry_run", "true", "/dry_run"),
    # Missing.
    ("to", [], "/to"),
    ("to", None, "/to"),
    ("to", "", "/to"),
    ("from", None, "/from"),
    ("text", None, "/text"),
    ("attachments", [{"filename": "a.txt"}], "/attachments/0/content"),
    ("attachments", [{"content": ""}], "/attachments/0/filename"),
    # Too long or too many.
    ("from", f"{LONG}@example.org", "/from"),
    ("from", {"email": "ann@example.org", "name": LONG}, "/from/name"),
    ("to", [f"bob@{LONG}.org"], "/to/0"),
    ("subject", LONG, "/subject"),
    ("headers", {"X-A": "x" * 20_000}, "/headers/X-A"),
    ("tags", ["x" * 101], "/tags/0"),
    ("metadata", {"a": "x" * 501}, "/metadata/a"),
    ("attachments", [ATTACHMENT | {"filename": LONG}], "/attachments/0/filename"),
    ("to", [f"bob{number}@example.org" for number in range(51)], "/to"),
    ("tags", [str(number) for number in range(21)], "/tags"),
    # Control characters and line ends.
    ("from", "ann@example.org\r\nBcc: eve@example.org", "/from"),
    ("from", "Ann\r\nBcc: eve <ann@example.org>", "/from"),
    ("from", {"email": "ann@example.org", "name": "Ann\nX: 1"}, "/from/name"),
    ("from", {"email": "ann@example.org\n"}, "/from/email"),
    ("to", ["bob@example.org\x00"], "/to/0"),
    ("to", "bob@example.org>\r\nRCPT TO:<eve@example.org", "/to"),
    ("subject", "Hi\r\nBcc: eve@example.org", "/subject"),
    ("subject", "Hi\x00", "/subject"),
    ("text", "a\x00b", "/text"),
    ("html", "a\x00b", "/html"),
    ("headers", {"X-A": "1\r\nBcc: eve@example.org"}, "/headers/X-A"),
    ("headers", {"X-A\r\nBcc": "eve@example.org"}, "/headers/X-A\r\nBcc"),
    ("headers", {"X A": "1"}, "/headers/X A"),
    ("attachments", [ATTACHMENT | {"filename": "a\r\n.txt"}], "/attachments/0/filename"),
    ("attachments", [ATTACHMENT | {"filename": "../a"}], "/attachments/0/filename"),
    ("attachments", [ATTACHMENT | {"content_type": "a/b\r\nX: 1"}], "/attachments/0/content_type"),
    ("attachments", [ATTACHMENT | {"content_id": "a\r\n"}], "/attachments/0/content_id"),
    ("metadata", {"a": "\x00"}, "/metadata/a"),
    # What it says of itself.
    ("to", "bob@example.org, cy@example.org", "/to"),
    ("to", ["bob@example.org; cy@example.org"], "/to/0"),
    ("to", "bob", "/to"),
    ("headers", {"From": "eve@example.org"}, "/headers/From"),
    ("headers", {"fRoM": "eve@example.org"}, "/headers/fRoM"),
    ("headers", {"Content-Type": "text/html"}, "/headers/Content-Type"),
    ("attachments", [ATTACHMENT | {"content": "a?b"}], "/attachments/0/content"),
    ("attachments", [ATTACHMENT | {"content": "aGk"}], "/attachments/0/content"),
    ("attachments", [ATTACHMENT | {"content": "ä"}], "/attachments/0/content"),
    ("attachments", [ATTACHMENT | {"path": "/etc/passwd"}], "/attachments/0/path"),
    ("attachments", [{"path": "https://example.org/a"}], "/attachments/0/path"),
    ("subjet", "Hi", "/subjet"),
    ("template", "welcome", "/template"),
    ("a" * 5000, 1, "/" + "a" * 100),
    ("a/b~c", 1, "/a~1b~0c"),
]


@pytest.mark.parametrize(("field", "value", "pointer"), BAD)
async def test_a_bad_field_is_named(counter: Counter, field: str, value: Any, pointer: str) -> None:
    """422 with the field, as a JSON Pointer (RFC 6901), and nothing is stored."""
    got = await counter.ask("POST", "/v1/messages", HELLO | {field: value})

    assert got.status_code == 422, got.text
    assert got.headers["content-type"] == "application/problem+json"
    problem = got.json()
    assert problem["status"] == 422
    pointers = [each.get("pointer") for each in problem["errors"]]
    assert pointer in pointers
    assert {each.split("/")[1] for each in pointers} == {pointer.split("/")[1]}
    assert all(each["detail"] and each["code"] for each in problem["errors"])
    assert await counter.count() == 0


async def test_everything_wrong_is_told_at_once(counter: Counter) -> None:
    """Types, addresses, headers, times and unknown names in one answer, each once."""
    body = {
        "from": "ann",
        "to": ["bob@example.org", "cy@", 3],
        "subject": 5,
        "attachments": [ATTACHMENT | {"content": "?"}],
        "headers": {"From": "x", "X-A": "1\r\n"},
        "send_at": "tomorrow",
        "stream": "fast",
        "relay": "nowhere",
        "tags": ["a b"],
        "subjcet": "Hi",
    }
    got = await counter.ask("POST", "/v1/messages", body)

    assert sorted(each["pointer"] for each in got.json()["errors"]) == [
        "/attachments/0/content",
        "/from",
        "/headers/From",
        "/headers/X-A",
        "/relay",
        "/send_at",
        "/stream",
        "/subjcet",
        "/subject",
        "/tags/0",
        "/to/1",
        "/to/2",
    ]
    assert await counter.count() == 0


async def test_a_field_that_cannot_be_read_is_not_called_missing(counter: Counter) -> None:
    """One complaint about each mistake."""
    body = {"from": "ann@example.org", "bcc": ["bob@"], "html": 1}
    got = await counter.ask("POST", "/v1/messages", body)

    assert sorted(each["pointer"] for each in got.json()["errors"]) == ["/bcc/0", "/html"]


async def test_the_nearest_field_is_offered(counter: Counter) -> None:
    got = await counter.ask("POST", "/v1/messages", HELLO | {"subjet": "Hi"})

    assert "Did you mean subject?" in got.json()["errors"][0]["detail"]


async def test_two_addresses_in_one_text(counter: Counter) -> None:
    """The fix is in the answer."""
    got = await counter.ask("POST", "/v1/messages", HELLO | {"to": "a@b.example,c@d.example"})

    assert "pass a list" in got.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_body"),
        (b"{", 400, "malformed_body"),
        (b"hello", 400, "malformed_body"),
        (b"[]", 400, "malformed_body"),
        (b"null", 400, "malformed_body"),
        (b'"a"', 400, "malformed_body"),
        (b"\xff\xfe{\x00}\x00", 400, "malformed_body"),
        (b"\xef\xbb\xbf{}", 400, "malformed_body"),
        (b'{"subject": "\xe4"}', 400, "malformed_body"),
        (b'{"metadata": NaN}', 400, "malformed_body"),
        (b'{"metadata": -Infinity}', 400, "malformed_body"),
        (b'{"metadata": ' + b"9" * 5000 + b"}", 400, "malformed_body"),
        (b'{"a":' * 100_000, 400, "malformed_body"),
        (b"[" * 100_000, 400, "malformed_body"),
        (b'{"to": ' + b"[" * 40 + b"]" * 40 + b"}", 400, "malformed_body"),
        (b'{"metadata": 1e999}', 422, "validation_error"),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_a_body_that_is_no_object(
    counter: Counter, body: bytes, status: int, code: str
) -> None:
    """400: nothing in it could be read."""
    got = await counter.ask("POST", "/v1/messages", content=body)

    assert (got.status_code, got.json()["code"]) == (status, code)
    assert await counter.count() == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"from": "a@b.example", "from": "c@d.example"}', "/from"),
        ('{"from": "a@b.example", "\\u0066rom": "c@d.example"}', "/from"),
        ('{"headers": {"X-A": "1", "X-A": "2"}}', "/headers/X-A"),
        ('{"to": [{"email": "a@b.example", "email": "c@d.example"}]}', "/to/0/email"),
        ('{"subject": "\\ud800"}', "/subject"),
        ('{"metadata": {"a": "\\uDC00"}}', "/metadata/a"),
        ('{"metadata": {"\\ud800": "a"}}', "/metadata/\\ud800"),
        ('{"\\ud800": "a"}', "/\\ud800"),
    ],
)
async def test_keys_twice_and_half_characters(counter: Counter, body: str, pointer: str) -> None:
    """One program would take the first, another the last: we take neither."""
    whole = json.dumps(HELLO)[:-1] + ", " + body.replace("{", "", 1)
    if pointer == "/from":
        whole = whole.replace('"from": "ann@example.org", ', "")
    got = await counter.ask("POST", "/v1/messages", content=whole)

    assert got.status_code == 422
    assert pointer in [each["pointer"] for each in got.json()["errors"]]
    assert await counter.count() == 0


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "a"])
async def test_only_json_is_read(counter: Counter, kind: str) -> None:
    got = await counter.ask("POST", "/v1/messages", content=b"{}", Content_Type=kind)

    assert (got.status_code, got.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.x+json"])
async def test_json_by_its_other_names(counter: Counter, kind: str) -> None:
    body = json.dumps(HELLO).encode()
    got = await counter.ask("POST", "/v1/messages", content=body, Content_Type=kind)

    assert got.status_code == 202


async def test_a_message_that_is_too_large(counter: Counter) -> None:
    """30 MB of attachment: 413 with the field, and nothing is stored."""
    octets = base64.b64encode(bytes(30_000_000)).decode()
    body = HELLO | {"attachments": [{"filename": "a.bin", "content": octets}]}
    got = await counter.ask("POST", "/v1/messages", body)

    assert (got.status_code, got.json()["code"]) == (413, "payload_too_large")
    assert got.json()["errors"][0]["pointer"] == "/attachments"
    assert await counter.count() == 0


async def test_a_body_that_is_too_large_is_not_read(counter: Counter) -> None:
    """By its announced length, before one octet of it; without one, as soon as it is known."""
    asked = 0

    async def endless() -> Any:
        nonlocal asked
        while True:
            asked += 1
            yield b" " * 1_000_000

    headers = {"authorization": f"Bearer {counter.key}", "content-type": "application/json"}
    announced = headers | {"content-length": "50000000"}
    got = await counter.client.post("/v1/messages", content=endless(), headers=announced)
    assert (got.status_code, asked) == (413, 0)

    got = await counter.client.post("/v1/messages", content=endless(), headers=headers)
    assert got.status_code == 413
    assert asked < 50
