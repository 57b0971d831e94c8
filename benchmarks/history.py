"""Time per batch with a long and with a short history: it should depend on the batch, not on the stored rows.

While `animeverse run all --follow` runs, batches of 5,000 sales are sent to the log one by one. The time of a batch
is from its acknowledgement until a reader of the published file sees all of it. Also measures the query of a day's
sales by title.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from benchmarks.corpus import LEAN, PARTITIONS, TOPIC, outgoing, sales
from benchmarks.logs import LogTarget, log_of
from benchmarks.options import Options, say
from benchmarks.past import build, settings_of, today
from benchmarks.processes import ANIMEVERSE, environment, running
from benchmarks.results import Result
from benchmarks.score import PUBLISHED
from benchmarks.watch import Watch

_BATCH, _BATCHES, _WARM_UP = 5_000, 40, 5  # events; batches; excluded batches at the beginning
_SHORT = 100  # the short history has this many times fewer rows
_TIMEOUT = 60.0
_QUERIES = 20
_BY_TITLE = """
    select dim_anime_title.title, sum(fct_sales.quantity) as units, sum(fct_sales.net_sales_amount) as net_sales
    from gold.fct_sales
    join gold.dim_product using (product_key)
    join gold.dim_anime_title on dim_product.title_id = dim_anime_title.title_id and dim_anime_title.is_current
    where fct_sales.date_key = $day
    group by all order by net_sales desc
"""


@dataclass(frozen=True, slots=True)
class Home:
    """A home with a history, and its log."""

    folder: Path
    target: LogTarget
    rows: int


def history(options: Options) -> Result:
    """Measure both histories, and the query over the long one."""
    result = Result("history", options.shown())
    medians = {}
    for name, rows in (("short", max(options.days * 2, options.rows // _SHORT)), ("long", options.rows)):
        with _home(options, rows) as home:
            took = _batches(result, home, options)
            if result.faults:
                return result
            medians[name] = statistics.median(took)
            for seconds in took:
                result.add(f"history.{name}.batch_ms", "ms", 1000 * seconds)
            result.details[name] = {"rows": home.rows, "published_bytes": (home.folder / PUBLISHED).stat().st_size}
            if name == "long":
                _query(result, home)
    result.add("history.batch_ratio", "x", medians["long"] / medians["short"])
    return result


def query(options: Options) -> Result:
    """Measure the query only."""
    result = Result("query", options.shown())
    with _home(options, options.rows) as home:
        _query(result, home)
    return result


@contextmanager
def _home(options: Options, rows: int) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="bench-") as named, log_of("embedded", Path(named)) as target:
        folder = Path(named) / "home"
        folder.mkdir()
        began = time.monotonic()
        found = build(target, settings_of(str(folder), target), rows, options.days)
        say(f"history: {found:,} lines over {options.days} days, built in {time.monotonic() - began:.0f} s")
        yield Home(folder, target, found)


def _batches(result: Result, home: Home, options: Options) -> list[float]:
    """Return the seconds of each batch."""
    count, took = _BATCH * _BATCHES, []
    first = int(time.time() * 1e6)
    watch = Watch(home.folder, count)
    watch.follow_rate(first, 1)
    own = environment(home.folder, home.target.url, **options.settings())
    with running([*ANIMEVERSE, "run", "all", "--follow"], own, home.folder) as pipeline, home.target.opened() as log:
        for begin in range(0, count, _BATCH):
            number = np.arange(begin, begin + _BATCH)
            log.append(TOPIC, outgoing(sales(number, first + number, LEAN), number % PARTITIONS, None))
            sent = time.time()
            if not watch.until(begin + _BATCH, sent + _TIMEOUT):
                result.faults.append(f"batch {begin // _BATCH} was not visible after {_TIMEOUT:.0f} s")
                break
            pipeline.check()
            took.append(float(watch.visible_at[number].max()) - sent)
            time.sleep(0.1)
        pipeline.stop()
    if result.faults:
        return []
    p50 = 1000 * statistics.median(took[_WARM_UP:])
    say(f"history: {home.rows:,} lines: batch p50 {p50:.0f} ms, the first {took[0]:.1f} s after the start")
    return took[_WARM_UP:]


def _query(result: Result, home: Home) -> None:
    """Query the sales by title of yesterday and of a closed day. Opens the file for each query."""
    for _ in range(_QUERIES):
        for name, days in (("query.milliseconds", 1), ("query.closed_day_milliseconds", 10)):
            began = time.perf_counter()
            with closing(duckdb.connect(str(home.folder / PUBLISHED), read_only=True)) as connection:
                day = time.strftime("%Y%m%d", time.gmtime(today() / 1e6 - 86_400 * days))
                found = connection.execute(_BY_TITLE, {"day": int(day)}).fetchall()
            result.add(name, "ms", 1000 * (time.perf_counter() - began))
            if not found:
                result.faults.append(f"no sales on {day}")
