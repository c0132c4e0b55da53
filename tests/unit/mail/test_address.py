"""Which texts are addresses, and what they look like on the wire."""

from __future__ import annotations

import pytest

from pillarbox.base.errors import Invalid
from pillarbox.mail.address import Address

ACCEPTED = [
    ("ann@example.org", "ann@example.org"),
    ("Ann.O'Neil+x@EXAMPLE.Org", "Ann.O'Neil+x@example.org"),
    ('"a b"@example.org', '"a b"@example.org'),
    ('"a@b"@example.org', '"a@b"@example.org'),
    ('"a\\"b"@example.org', '"a\\"b"@example.org'),
    ("ann@müller.example", "ann@xn--mller-kva.example"),
    ("ann@MÜLLER.example", "ann@xn--mller-kva.example"),
    ("ann@例え.テスト", "ann@xn--r8jz45g.xn--zckzah"),
    ("jösé@example.org", "jösé@example.org"),
    ("ann@localhost", "ann@localhost"),
    ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
    ("ann@[IPv6:2001:DB8::1]", "ann@[IPv6:2001:db8::1]"),
    (f"{'a' * 64}@example.org", f"{'a' * 64}@example.org"),
]

REFUSED = [
    "",
    "ann",
    "@example.org",
    "ann@",
    "ann@@example.org",
    "ann@example..org",
    ".ann@example.org",
    "ann.@example.org",
    "a b@example.org",
    "<ann@example.org>",
    "ann@example.org>",
    "ann@example.org SIZE=1",
    "ann@exa_mple.org",
    "ann@-example.org",
    "ann@[192.0.2.300]",
    "ann@[::1]",
    "ann@[IPv6:fe80::1%eth0]",
    '"ann@example.org',
    '"a"b"@example.org',
    "ann@example.org\r\nRCPT TO:<eve@example.org>",
    "ann\n@example.org",
    "ann\x00@example.org",
    "ann\x7f@example.org",
    "ann\u0085@example.org",
    "ann\u2028@example.org",
    "ann@exam\tple.org",
    f"{'a' * 65}@example.org",
    f"{'ä' * 33}@example.org",
    f"ann@{'a' * 64}.org",
    f"ann@{'.'.join(['a' * 60] * 5)}",
    f"ann@{'ü' * 100_000}.org",
]


@pytest.mark.parametrize(("text", "wire"), ACCEPTED)
def test_an_address_goes_over_the_wire_with_a_labels(text: str, wire: str) -> None:
    """The local part is kept as written; the domain becomes lower-case ASCII."""
    assert str(Address.parse(text)) == wire


@pytest.mark.parametrize("text", REFUSED)
def test_what_could_be_read_as_something_else_is_refused(text: str) -> None:
    """Nothing that is not exactly one address reaches an SMTP command."""
    with pytest.raises(Invalid):
        Address.parse(text)


def test_only_a_local_part_needs_smtputf8() -> None:
    """A domain can always be written in ASCII (RFC 6531 §3.2)."""
    assert Address.parse("jösé@example.org").needs_smtputf8
    assert not Address.parse("jose@müller.example").needs_smtputf8
