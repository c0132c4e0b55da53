"""Giving memory back: what a large message took is the system's again when it has left."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
_LARGE = 1024 * 1024  # octets


def return_large_blocks() -> None:
    """
    Have every large block mapped by itself, and unmapped when it is freed.

    glibc raises that limit to the largest block it has seen freed, up to 32 MiB. Then
    attachments share the heap with what lives long, and the heap never shrinks again. Other
    C libraries do not do that, and have no mallopt.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _LARGE)
