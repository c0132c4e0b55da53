"""HTML becomes a text that a person can read."""

from __future__ import annotations

import pytest

from pillarbox.mail.plain import MAX_HTML, MAX_TEXT, readable

CASES = [
    ("<p>Hello</p><p>World</p>", "Hello\n\nWorld"),
    ("a<br>b<br/>c", "a\nb\nc"),
    ("  a\n  <b>b</b>c <i>d</i>\n", "a bc d"),
    ("<head><title>x</title><style>p{}</style></head><body>a<script>x<p></script>b", "ab"),
    ("<head><meta x><body>a", "a"),
    ("<div style='Display : none'><div>x</div>y</div>a", "a"),
    ("<a href='https://b.example?a=1&amp;b=2'>Pay</a> now", "Pay <https://b.example?a=1&b=2> now"),
    ("&lt;b&gt; &amp; &euro;&nbsp;5 &#x41;", "<b> & € 5 A"),
    ("&#" + "9" * 6000 + ";", "\ufffd"),
    ('<a href="https://example.org/">https://example.org</a>', "https://example.org"),
    ('<a href="mailto:a@b.example">a@b.example</a>', "a@b.example"),
    ('<a href="https://example.org"><img src="x" alt=""></a>', "https://example.org"),
    ('<a href="javascript:alert(1)">x</a>', "x"),
    ('<img alt="Logo of us" src=cid:x> hi', "Logo of us hi"),
    ("<ul><li>a<li>b</ul>", "- a\n- b"),
    ("<ol><li>a</li><li>b<ul><li>c</li></ul></li></ol>d", "1. a\n2. b\n  - c\n\nd"),
    ("<table><tr><td>Pen</td><td> 3 €</td></tr><tr><td>Ink</td></tr></table>", "Pen | 3 €\nInk"),
    ("<pre>a\n  b</pre>", "a\n  b"),
    ("a<hr>b", f"a\n\n{'-' * 40}\n\nb"),
    ("a <!-- b --> c <![if x]>d<![endif]> <?php e ?> f", "a c d f"),
    ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
    ("<p title='a > b'>x</p>", "x"),
    ("a\u200b\ufeffb\x07\x1b[0m", "ab[0m"),
    ("<img src=x><br> \n", ""),
    ("", ""),
]  # fmt: skip

HOSTILE = [
    "<a ", "<!--", "<", "</", "<?", "<![x", "&", "&#", "<a href='", '<div style="', "<svg>", "<li>",
    "<ul>", "<script>", "<a href=https://x.y>", "= ", "<a b", "<a  =", "<pre>\n", "<td>x",
]  # fmt: skip


@pytest.mark.parametrize(("html", "text"), CASES)
def test_html_as_text(html: str, text: str) -> None:
    """What a reader would see, in order, and nothing a reader would not."""
    assert readable(html) == text


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.timeout(5)
def test_no_page_takes_long(piece: str) -> None:
    """The standard library needs minutes for some of these on Python 3.11."""
    assert len(readable(piece * (MAX_HTML // len(piece)))) <= MAX_TEXT + 5


def test_a_very_long_page_is_cut_and_says_so() -> None:
    """Bounded in what is read and in what is written."""
    text = readable("<p>word " * MAX_HTML)
    assert text.endswith("\n\n[…]")
    assert len(text) <= MAX_TEXT + 5
