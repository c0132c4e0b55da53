"""What every test has: a home, honest randomness, and a transcript when it fails."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "test-results"

# A failing example is printed as a blob that repeats it. Deadlines are for machines of one's own.
settings.register_profile(
    "quick",
    max_examples=50,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that passes here passes anywhere: PILLARBOX_… of the shell are not seen."""
    for name in [name for name in os.environ if name.startswith("PILLARBOX_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of its own, which code in this process finds as PILLARBOX_HOME."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("PILLARBOX_HOME", str(folder))
    return folder


def pytest_configure(config: pytest.Config) -> None:
    """test-results/ is about this run. With xdist, the one who starts the others empties it."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(RESULTS, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what the servers of a failing test wrote: every *.log in its folder."""
    report = yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and folder is not None:
        kept = keep_transcripts(folder, item.nodeid)
        if kept:
            report.sections.append(("transcripts", "\n".join(map(str, kept))))
    return report


def keep_transcripts(folder: Path, nodeid: str) -> list[Path]:
    """Copy the logs to test-results/, under the name of the test."""
    place = RESULTS / re.sub(r"[^\w.-]+", "_", nodeid)[:150]
    kept = []
    for log in sorted(folder.rglob("*.log")):
        place.mkdir(parents=True, exist_ok=True)
        kept.append(place / "-".join(log.relative_to(folder).parts))
        shutil.copy(log, kept[-1])
    return kept
