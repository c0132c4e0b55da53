"""
Foreign HTML made safe to look at, three times over.

It is cleaned of everything that could run or load; it is answered under a policy that lets
nothing run or load; and it is shown in a frame that may do nothing at all.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import nh3

from pillarbox.mail.summary import Part

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox"
)

_MAX_INLINE = 8 * 1024 * 1024  # octets of pictures in one page
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})
_FRAME = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Message</title>
<meta name="viewport" content="width=device-width">
<style>html{{color-scheme:light;background:#fff}}
body{{margin:16px;font:15px/1.5 system-ui,sans-serif;color:#1a1a1a;overflow-wrap:anywhere}}
img{{max-width:100%}}table{{max-width:100%}}</style></head><body>
{body}
</body></html>
"""
_LAYOUT = frozenset(
    {"align", "valign", "width", "height", "bgcolor", "border", "cellpadding", "cellspacing"}
)


def preview(html: str, parts: Sequence[Part]) -> str:
    """A whole page for a frame. Pictures of the message itself are inside it."""
    pictures = _pictures(parts)

    def allowed(tag: str, name: str, value: str) -> str | None:
        if name != "src":
            return value
        if value.startswith("data:"):
            return value if value.startswith("data:image/") else None
        return pictures.get(value.removeprefix("cid:")) if value.startswith("cid:") else None

    cleaned = nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags={"script", "title"},
        attributes=_ATTRIBUTES,
        attribute_filter=allowed,
        url_schemes={"http", "https", "mailto", "cid", "data"},
        link_rel="noopener noreferrer nofollow",
    )
    return _FRAME.format(body=cleaned)


_TAGS = (nh3.ALLOWED_TAGS | {"style", "font", "center", "u"}) - {"area", "map"}
_ATTRIBUTES = {
    **{tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()},
    "*": {"style", "class", "id", "dir", "lang", "title", *_LAYOUT},
    "font": {"color", "face", "size"},
    "img": {"src", "alt", "width", "height", "border"},
    "a": {"href"},
}


def _pictures(parts: Sequence[Part]) -> Mapping[str, str]:
    """Content ids and their pictures, as long as they are not too much for a page."""
    found: dict[str, str] = {}
    room = _MAX_INLINE
    for part in parts:
        if part.content_id and part.content_type in _PICTURES and len(part.octets) <= room:
            room -= len(part.octets)
            octets = base64.b64encode(part.octets).decode()
            found[part.content_id] = f"data:{part.content_type};base64,{octets}"
    return found
