"""Releases in a small home, and what follows from them."""

from datetime import timedelta
from typing import Any

from pipelines.config.settings import Settings
from pipelines.operations.check import Check
from pipelines.operations.verify import verify
from pipelines.quarantine.fixes import load_fix
from pipelines.quarantine.records import QuarantineFilter
from pipelines.quarantine.release import Released, release
from tests.pipelines.small_home import DAY, TOPIC, rows

TOO_LATE = DAY - timedelta(days=3)


def release_records(settings: Settings, fix: str | None = None, **wanted: Any) -> Released:
    return release(settings, QuarantineFilter(TOPIC, **wanted), load_fix(fix) if fix else None, lambda note: None)


def accepted_ids(settings: Settings) -> list[str]:
    return rows(settings, "silver.inventory_updates")["event_id"].sort().to_list()


def failed_checks(settings: Settings) -> list[Check]:
    return [check for check in verify(settings, rebuild=True) if not check.ok]
