"""`animeverse verify`: recount everything from the tables themselves and say what is off, to the offset.

Nothing here trusts the ledger or a snapshot's counters; they are checked against the recount. Reads only, streams,
and keeps 20 bytes a record in memory. Source: design.md section 4 (the conservation law), promises 1 and 2.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from pipelines.bronze.removed_range import refuse_truncated
from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import bronze_name
from pipelines.errors import LogUnavailableError, StoreUnavailableError
from pipelines.lake.catalog import Lake, open_lakehouse
from pipelines.log.interface import Log
from pipelines.log.open import open_log
from pipelines.operations.check import _SHOWN, Check
from pipelines.operations.verify_landing import landing_checks
from pipelines.operations.verify_topic import _topic
from pipelines.silver.changes import SilverChanges, silver_changes
from pipelines.silver.rebuild import rebuilt_silver, same_rows

_OTHER_PIECES = 7_777  # records judged at a time in a rebuild: another cut than the live one's


# Checks of the warehouse, which this package does not know (`warehouse.verify.gold_checks`):
# (published file, all of silver, is it the rebuilt one) -> (check, does it hold, detail)
GoldChecks = Callable[[Path, SilverChanges, bool], list[tuple[str, bool, str]]]


def verify(settings: Settings, *, rebuild: bool = False, gold_checks: GoldChecks | None = None) -> list[Check]:
    """All checks. Raises NoLakehouseError where there is nothing to check, BronzeTruncatedError where `rebuild` cannot be
    done, since retention has removed what silver was made from."""
    lake = open_lakehouse(settings)
    try:
        for topic in TOPICS if rebuild else ():
            if (bronze := lake.find(bronze_name(topic))) is not None:
                refuse_truncated(bronze, 0)
        checks = list(_files(lake))
        if not all(check.ok for check in checks):
            return checks  # what cannot be read cannot be recounted
        log, unreachable = _open(settings)
        try:
            for topic in TOPICS:
                if lake.find(bronze_name(topic)) is not None:
                    checks += _topic(lake, log, unreachable, topic)
        finally:
            if log is not None:
                log.close()
        checks += landing_checks(settings.home, lake)
        if gold_checks is not None:
            found = gold_checks(settings.published_path, silver_changes(lake, {}), False)
            checks += [Check(*line) for line in found]
        if rebuild:
            with rebuilt_silver(settings, lake, piece_rows=_OTHER_PIECES) as side:
                checks += [Check(*found) for found in same_rows(lake, side)]
                if gold_checks is not None:
                    found = gold_checks(settings.published_path, silver_changes(side, {}), True)
                    checks += [Check(*line) for line in found]
        return checks
    finally:
        lake.close()


def _open(settings: Settings) -> tuple[Log | None, str]:
    try:
        log = open_log(settings.log_url, kafka=settings.kafka, topic_prefix=settings.topic_prefix)
        _ = log.identity
    except LogUnavailableError as error:
        return None, str(error)
    return log, ""


def _files(lake: Lake) -> Iterator[Check]:
    """Every data file is there, and the snapshot's own counter equals the rows in them."""
    for name in lake.names():
        table = lake.table(name)
        missing = table.missing_files()
        detail = f"{len(table.file_paths())} data files" if not missing else f"missing: {', '.join(missing[:_SHOWN])}"
        if not missing:
            try:
                rows, counted = sum(b.num_rows for b in table.read_streamed(table.columns[:1])), table.totals()
            except (StoreUnavailableError, pa.ArrowException) as error:
                yield Check(f"{name}: files", False, f"cannot be read: {error}")
                continue
            if rows != counted.get("total-records", 0):
                missing = [name]
                detail = f"{rows} rows in the files, but its snapshot counts {counted.get('total-records', 0)}"
        yield Check(f"{name}: files", not missing, detail)
