"""`animeverse verify`: recounts everything from the tables and reports each deviation with its offsets.

The ledger and the snapshots' counters are not trusted; they are compared with the recount. Reads only, streams, and
holds 20 bytes a record in memory. Checks the conservation law of docs/rules.md.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from pipelines.bronze.removed_range import refuse_truncated
from pipelines.config.log import connect_log
from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import bronze_name
from pipelines.errors import StoreUnavailableError
from pipelines.lake.catalog import Lake, LakeTable
from pipelines.lake.open_lake import open_lakehouse
from pipelines.operations.check import MAX_SHOWN, Check
from pipelines.operations.verify_landing import landing_checks
from pipelines.operations.verify_topic import topic_checks
from pipelines.silver.changes import SilverChanges, silver_changes
from pipelines.silver.rebuild import rebuilt_silver, same_rows

_REBUILD_PIECE_ROWS = 7_777  # records a batch of the rebuild: other batches than those of the live silver


# Checks of gold, which `warehouse.verify.gold_checks` provides since pipelines cannot import warehouse:
# (published file, all of silver, whether silver is the rebuilt one) -> (name, holds, detail)
GoldChecks = Callable[[Path, SilverChanges, bool], list[tuple[str, bool, str]]]


def verify(settings: Settings, *, rebuild: bool = False, gold_checks: GoldChecks | None = None) -> list[Check]:
    """Run all checks. If data files are missing, only the checks of files are returned.

    Raises NoLakehouseError without a lakehouse, and BronzeTruncatedError if `rebuild` is impossible because retention
    removed records that silver was made from.
    """
    with closing(open_lakehouse(settings)) as lake:
        topics = [topic for topic in TOPICS if lake.find(bronze_name(topic)) is not None]
        for topic in topics if rebuild else ():
            refuse_truncated(lake.table(bronze_name(topic)), 0)
        checks = [_file_check(lake.table(name)) for name in lake.names()]
        if not all(check.ok for check in checks):
            return checks
        with closing(connect_log(settings)) as connection:
            for topic in topics:
                checks += topic_checks(lake, connection, topic)
        checks += landing_checks(settings.home, lake)
        if gold_checks is not None:
            checks += _run(gold_checks, settings, lake, is_rebuilt=False)
        if rebuild:
            with rebuilt_silver(settings, lake, piece_rows=_REBUILD_PIECE_ROWS) as rebuilt:
                checks += [Check(*result) for result in same_rows(lake, rebuilt)]
                if gold_checks is not None:
                    checks += _run(gold_checks, settings, rebuilt, is_rebuilt=True)
        return checks


def _run(gold_checks: GoldChecks, settings: Settings, lake: Lake, *, is_rebuilt: bool) -> Iterator[Check]:
    for result in gold_checks(settings.published_path, silver_changes(lake, {}), is_rebuilt):
        yield Check(*result)


def _file_check(table: LakeTable) -> Check:
    """All data files of a table exist, and they hold as many rows as the snapshot counts."""
    name = f"{table.name}: files"
    missing = table.missing_files()
    if missing:
        return Check(name, False, f"missing: {', '.join(missing[:MAX_SHOWN])}")
    try:
        rows = sum(batch.num_rows for batch in table.read_streamed(table.columns[:1]))
        counted = table.totals().get("total-records", 0)
    except (StoreUnavailableError, pa.ArrowException) as error:
        return Check(name, False, f"cannot be read: {error}")
    if rows != counted:
        return Check(name, False, f"{rows} rows in the files, but its snapshot counts {counted}")
    return Check(name, True, f"{len(table.file_paths())} data files")
