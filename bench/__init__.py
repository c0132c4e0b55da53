"""Measured comparisons, all in one run on one machine. They share the peers of the tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
