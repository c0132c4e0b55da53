"""
Pillarbox with less patience, run as a program: minutes of leases and waits are seconds here.

    python hurried.py '{"queue.claim.LEASE": 2}' serve --only worker

The names are those of the modules that use them; one that is not there is an error.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from datetime import timedelta


def command(patience: Mapping[str, float]) -> tuple[str, ...]:
    """What to run instead of pillarbox. Seconds by name."""
    return (sys.executable, __file__, json.dumps(dict(patience)))


def hurry(patience: Mapping[str, float]) -> None:
    """Raises AttributeError for what is not there."""
    for place, seconds in patience.items():
        module_name, _, name = place.rpartition(".")
        module = importlib.import_module(f"pillarbox.{module_name}")
        is_span = isinstance(getattr(module, name), timedelta)
        setattr(module, name, timedelta(seconds=seconds) if is_span else seconds)


if __name__ == "__main__":
    from pillarbox.__main__ import main

    hurry(json.loads(sys.argv.pop(1)))
    sys.argv[0] = "pillarbox"
    sys.exit(main())
