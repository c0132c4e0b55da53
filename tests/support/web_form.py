"""Sending a form to a server of this machine, as OAuth clients do, by other code than ours."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit


def post_form(url: str, form: Mapping[str, str], *, ca: Path | None = None) -> tuple[int, Any]:
    """
    The status, and the JSON or the text that came. A login in the URL is sent as Basic.

    Raises urllib.error.URLError when nobody answers or the certificate is not by `ca`.
    """
    place = urlsplit(url)
    bare = place._replace(netloc=place.netloc.rpartition("@")[2]).geturl()
    request = urllib.request.Request(bare, urlencode(form).encode())
    if place.username:
        login = base64.b64encode(f"{place.username}:{place.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)),
    )
    try:
        with direct.open(request, timeout=5) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text.decode()
