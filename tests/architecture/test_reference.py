"""The reference pages are made of the code, and are the ones that are committed."""

from __future__ import annotations

import subprocess
import sys

from support.source import ROOT


def test_the_reference_is_up_to_date() -> None:
    """Every error, option, event, route and command has its documentation, made from itself."""
    made = subprocess.run(
        [sys.executable, "scripts/reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert made.returncode == 0, f"run `make docs` and commit docs/reference\n{made.stderr}"
