"""Memory of a server: large blocks go back to the system, and the collector seldom looks."""

from __future__ import annotations

import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
_LARGE = 1024 * 1024  # octets
_ALLOCATIONS = 20_000  # between two looks of the collector


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


def collect_nothing_yet() -> None:
    """For a start: what is imported and built stays, and looking it through costs a seventh."""
    gc.disable()


def collect_less_often() -> None:
    """
    For a server: what lives from here on is mostly values that go without the collector.

    What is there at the start stays for good and need not be looked through again.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(_ALLOCATIONS, 20, 50)
