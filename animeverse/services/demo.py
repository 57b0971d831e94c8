"""Create the lakehouse of the demo, or delete it (R49).

The demo marks a home that does not exist or is empty before it fills it. Only marked homes are deleted. A demo that
was interrupted continues: the run from its last commit, the history from its start. The same seed generates the same
history, and silver counts the records that were already sent as duplicates.
"""

import json
import shutil
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from animeverse.services.produce import send_history
from animeverse.services.reporter import Reporter
from animeverse.services.run import run
from pipelines.config.settings import Settings
from pipelines.errors import NoLakehouseError, UsageError
from pipelines.home_lock import home_lock
from pipelines.microbatch.report import RunReport
from producers.world import World

MARK = "made-by-demo.json"
_LOCK = "run.lock"

Step = Callable[[str], AbstractContextManager[Reporter]]  # announces and times the step of this name


@dataclass(frozen=True, slots=True)
class DemoWorld:
    """The parameters of the history."""

    events: int
    days: int
    seed: int


def needs_history(settings: Settings) -> bool:
    """Return whether the home holds no lakehouse, or one that an interrupted demo left unfinished."""
    if not _has_lakehouse(settings):
        return True
    mark = _read_mark(settings)
    return mark is not None and not mark.get("finished")


def create(settings: Settings, world: DemoWorld, step: Step, stop: threading.Event) -> RunReport | None:
    """Send the history and run all layers. Returns the report of the run; None when `stop` was set before it."""
    mark = _read_mark(settings)
    is_empty = not settings.home.exists() or all(path.name == _LOCK for path in settings.home.iterdir())
    plan = mark or {**asdict(world), "start": (datetime.now(UTC).date() - timedelta(days=world.days)).isoformat()}
    is_marked = mark is not None or is_empty
    if mark is None and is_empty:
        settings.home.mkdir(parents=True, exist_ok=True)
        _write_mark(settings, plan)
    if not plan.get("produced"):
        with step("producing") as reporter:
            send_history(settings, _world_of(plan), stop, reporter)
        if is_marked and not stop.is_set():
            plan = {**plan, "produced": True}
            _write_mark(settings, plan)
    if stop.is_set():
        return None
    with step("running all layers") as reporter:
        report, _ = run(settings, "all", follow=False, stop=stop, reporter=reporter)
    if is_marked and not stop.is_set():
        _write_mark(settings, {**plan, "finished": datetime.now(UTC).isoformat(timespec="seconds")})
    return report


def delete(settings: Settings) -> None:
    """Delete everything in a home that a demo created. Raises UsageError for any other home."""
    if not settings.home.exists() or not any(settings.home.iterdir()):
        return
    if _read_mark(settings) is None:
        raise UsageError(
            f"{settings.home} was not made by a demo, so --fresh does not delete it: expected {MARK} in it. "
            "Delete it yourself, or set ANIMEVERSE_HOME to another folder"
        )
    outside = [
        location
        for location in (settings.log_url, settings.catalog_url, settings.lake_root)
        if str(settings.home) not in location
    ]
    if outside:
        raise UsageError(
            f"--fresh deletes the home only, but {' and '.join(outside)} is outside of {settings.home}: "
            "delete it there, or set ANIMEVERSE_TOPIC_PREFIX and another ANIMEVERSE_HOME"
        )
    with home_lock(settings.home):
        for path in settings.home.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != _LOCK:
                path.unlink()


def _has_lakehouse(settings: Settings) -> bool:
    from pipelines.lake.catalog import open_lakehouse

    try:
        open_lakehouse(settings).close()
    except NoLakehouseError:
        return False
    return True


def _read_mark(settings: Settings) -> dict[str, Any] | None:
    try:
        mark = json.loads((settings.home / MARK).read_text())
    except (OSError, ValueError):
        return None
    return mark if isinstance(mark, dict) else None


def _write_mark(settings: Settings, mark: dict[str, Any]) -> None:
    (settings.home / MARK).write_text(json.dumps(mark, indent=2) + "\n")


def _world_of(plan: dict[str, Any]) -> World:
    return World(int(plan["seed"]), date.fromisoformat(plan["start"]), int(plan["days"]), int(plan["events"]))
