"""Rebuild gold in place and as of a moment."""

import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from animeverse.services.rebuild import rebuild_in_place, rebuild_into
from animeverse.services.run import run
from pipelines.config.settings import Settings, load_settings
from pipelines.contracts.registry import TOPICS
from pipelines.errors import AlreadyRunningError, NoLakehouseError, UsageError
from pipelines.log.open import open_log
from producers.world import World
from tests.pipelines.outcome import GOLD

pytestmark = pytest.mark.usefixtures("without_settings")
MOMENT = datetime(2026, 3, 3, 15, tzinfo=UTC)


def tables(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    names = [
        *(f"gold.{table}" for table in GOLD),
        "marts.daily_summary",
        "marts.customer_value",
        "ops.topic_watermarks",
    ]
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return {name: connection.execute(f"select * from {name} order by all").fetchall() for name in names}


def send(settings: Settings, *, before: bool) -> None:
    """Send the part of a small world that arrived up to MOMENT, or the rest."""
    log = open_log(settings.log_url)
    log.ensure_topics(list(TOPICS))
    limit = pa.scalar(MOMENT, pa.timestamp("us", tz="UTC"))
    for batch in World(3, date(2026, 3, 1), 5, 2_500).batches():
        early = pc.less_equal(batch.records.column("timestamp"), limit)
        log.append(batch.topic, batch.records.filter(early if before else pc.invert(early)))
    log.close()


def run_all(settings: Settings) -> None:
    run(settings, "all", follow=False, stop=threading.Event())


def test_a_rebuild_as_of_a_moment_equals_gold_at_that_moment(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home")
    send(settings, before=True)
    run_all(settings)
    then = tables(settings.published_path)
    send(settings, before=False)
    run_all(settings)
    now = tables(settings.published_path)
    assert then["gold.fct_sales"] != now["gold.fct_sales"]

    rebuild_into(settings, tmp_path / "then.duckdb", MOMENT)
    assert tables(tmp_path / "then.duckdb") == then
    rebuild_into(settings, tmp_path / "now.duckdb", None)
    assert tables(tmp_path / "now.duckdb") == now
    rebuild_in_place(settings, threading.Event())
    assert tables(settings.published_path) == now

    with pytest.raises(UsageError, match="exists"):
        rebuild_into(settings, tmp_path / "now.duckdb", None)
    with pytest.raises(UsageError, match="Choose another file name"):
        rebuild_into(settings, tmp_path / "gold.duckdb", None)


def test_a_rebuild_without_a_lakehouse_creates_nothing(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home")
    with pytest.raises(NoLakehouseError):
        rebuild_in_place(settings, threading.Event())
    with pytest.raises(NoLakehouseError):
        rebuild_into(settings, tmp_path / "new" / "other.duckdb", None)
    assert not list(tmp_path.iterdir())


def test_a_rebuild_waits_while_the_last_writer_closes_gold(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home")
    send(settings, before=True)
    run_all(settings)
    code = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    command = [sys.executable, "-c", code, str(settings.published_path.with_name("writer.duckdb"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(AlreadyRunningError, match=str(other.pid)):
            rebuild_in_place(settings, threading.Event())
        ending = threading.Timer(0.3, other.communicate, ("\n",))
        ending.start()
        report, _ = rebuild_in_place(settings, threading.Event())
        ending.join()
    assert report.refreshes == 1
