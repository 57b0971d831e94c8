"""`animeverse demo`: the main job in one go, and the numbers a newcomer wants to see (R49).

A home that is not there yet, or empty, is marked as made by a demo; only such a one does `--fresh` delete. A demo that
was cut short goes on where it stopped: the run from the last commit, the history from its start, which the same seed
makes the same and silver counts as duplicates.
"""

import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.markup import escape

from animeverse.services import produce as producing
from animeverse.services import run as running
from animeverse.services.query import Session
from animeverse.terminal import console
from animeverse.terminal.checks import print_checks
from animeverse.terminal.summary import print_all
from pipelines.config.settings import Settings
from pipelines.errors import NoLakehouseError, UsageError
from pipelines.home_lock import home_lock
from pipelines.operations.check import Check
from pipelines.operations.verify import verify
from warehouse.verify import gold_checks

_MARK = "made-by-demo.json"
_LOCK = "run.lock"
_NEXT = (
    'query "from marts.title_performance limit 10"',
    'query "select topic, reasons, detail from silver.quarantine limit 10"',
    "run all --follow",
)


@dataclass(slots=True)
class Steps:
    """What was done and how long it took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Say that a step begins, and add its time."""
        console.say(f"{name} ...")
        began = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began


def run(settings: Settings, *, events: int, days: int, seed: int, fresh: bool, stop: threading.Event) -> int:
    """Make the lakehouse unless one is there, prove it, show it; the exit code."""
    if fresh:
        start_over(settings)
    steps = Steps()
    there = _is_there(settings)
    if there and not _is_unfinished(settings):
        console.say(f"there is a lakehouse in {settings.home} already; `animeverse demo --fresh` starts over")
    else:
        _make(settings, {"events": events, "days": days, "seed": seed}, steps, stop)
    if stop.is_set():
        console.say("the same command goes on from here")
        return 0
    with steps.step("verifying"):
        checks = verify(settings, gold_checks=gold_checks)
    return _show(settings, checks, steps)


def _is_there(settings: Settings) -> bool:
    """Whether there are tables to read."""
    from pipelines.lake.catalog import open_lakehouse

    try:
        open_lakehouse(settings).close()
    except NoLakehouseError:
        return False
    return True


def _mark(settings: Settings) -> Path:
    return settings.home / _MARK


def _read_mark(settings: Settings) -> dict[str, Any] | None:
    try:
        found = json.loads(_mark(settings).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _is_unfinished(settings: Settings) -> bool:
    mark = _read_mark(settings)
    return mark is not None and not mark.get("finished")


def start_over(settings: Settings) -> None:
    """Delete everything in a home that a demo made. Raises UsageError for any other home."""
    if not settings.home.exists() or not any(settings.home.iterdir()):
        return
    if _read_mark(settings) is None:
        raise UsageError(
            f"{settings.home} was not made by a demo, so --fresh leaves it alone: expected {_MARK} in it. "
            "Delete it yourself, or give the demo a home of its own by ANIMEVERSE_HOME"
        )
    outside = [
        place
        for place in (settings.log_url, settings.catalog_url, settings.lake_root)
        if str(settings.home) not in place
    ]
    if outside:
        raise UsageError(
            f"--fresh deletes the home only, but {' and '.join(outside)} lies outside of {settings.home}: "
            "delete it there, or set ANIMEVERSE_TOPIC_PREFIX and a home of its own"
        )
    with home_lock(settings.home):
        for path in settings.home.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != _LOCK:
                path.unlink()


def _make(settings: Settings, wanted: dict[str, int], steps: Steps, stop: threading.Event) -> None:
    """Produce the history and run all layers over it."""
    home = settings.home
    mark = _read_mark(settings)
    if mark is None and not (home.exists() and any(path.name != _LOCK for path in home.iterdir())):
        home.mkdir(parents=True, exist_ok=True)
        mark = {**wanted, "start": (datetime.now(UTC).date() - timedelta(days=wanted["days"])).isoformat()}
        _write_mark(settings, mark)
    plan = mark or {**wanted, "start": (datetime.now(UTC).date() - timedelta(days=wanted["days"])).isoformat()}
    if mark is None or not mark.get("produced"):
        with steps.step("producing"):
            producing.history(settings, producing.world_of(plan), stop)
        if mark is not None and not stop.is_set():
            _write_mark(settings, mark := {**mark, "produced": True})
    if stop.is_set():
        return
    with steps.step("running all layers"):
        report, _ = running.run(settings, "all", follow=False, stop=stop)
    steps.seconds |= {f"  {name}": spent for name, spent in report.seconds.items()}
    if mark is not None and not stop.is_set():
        _write_mark(settings, {**mark, "finished": datetime.now(UTC).isoformat(timespec="seconds")})


def _write_mark(settings: Settings, mark: dict[str, Any]) -> None:
    _mark(settings).write_text(json.dumps(mark, indent=2) + "\n")


def _show(settings: Settings, checks: list[Check], steps: Steps) -> int:
    with Session(settings) as session:
        adds_up = print_all(session, settings.currency)
    failed = [check for check in checks if not check.ok]
    if failed:
        print_checks(failed)
    else:
        console.put(f"all {len(checks)} checks of `animeverse verify` hold")
    console.put("\n[bold]Time by step[/bold] [dim](the layers overlap)[/dim]")
    for name, spent in steps.seconds.items():
        console.put(f"{name:<20}{console.seconds(spent):>8}")
    console.put("\n[bold]Three things to try next[/bold]")
    for line in _NEXT:
        console.put(f"  {_command()} {escape(line)}")
    return 0 if adds_up and not failed else 1


def _command() -> str:
    """How `animeverse` is called from here."""
    script = Path(sys.executable).parent / "animeverse"
    if shutil.which("animeverse") == str(script):
        return "animeverse"
    return str(script.relative_to(Path.cwd())) if script.is_relative_to(Path.cwd()) else str(script)
