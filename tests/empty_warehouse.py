"""A warehouse file with all tables and no rows, built once per process and copied for tests that need only a few rows.

The first refresh of a new warehouse creates about 90 tables and takes more than a second. A copy takes milliseconds.
The copy has had one refresh: tests of the first refresh itself must not use it.
"""

import atexit
import shutil
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pipelines.silver.changes import PARTITIONS, SilverChanges
from warehouse.storage.writer_file import WORK
from warehouse.writer import Warehouse

_REFRESHED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="empty-warehouse-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    warehouse = Warehouse(folder)
    warehouse.refresh(SilverChanges({}, {}, PARTITIONS.empty_table()), _REFRESHED_AT)
    warehouse.close()
    return folder / WORK


def copy_empty_warehouse(gold_dir: Path) -> None:
    """Put a copy of the empty warehouse into `gold_dir`, unless it has a warehouse already."""
    if (gold_dir / WORK).exists():
        return
    gold_dir.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_template(), gold_dir / WORK)
