"""`animeverse produce` and the demo's history: the generators or a file, sent to the log with their progress shown."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from animeverse.terminal import console
from animeverse.terminal.progress import Bars, bars
from pipelines.config.log import open_log_of
from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from pipelines.errors import UsageError
from pipelines.log.interface import Log
from producers.data_faults import DataFaults
from producers.live import live, share_of
from producers.publish import publish, publish_history, publish_live
from producers.publish_file import Timestamps, publish_file
from producers.world import World

STATE = "producing.json"  # where an interrupted history goes on
DEFAULT_RATE = 100.0
DEFAULT_DAYS, DEFAULT_EVENTS = 60, 200_000
_SOME = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked for. `events`, `days` or `start` mean a history, a bare `count` some events at once; with a
    `rate` or nothing it is live; `file` is none of these.
    """

    topics: Sequence[str]
    rate: float | None = None
    count: int | None = None
    seed: int | None = None
    start: date | None = None
    days: int | None = None
    events: int | None = None
    dirt: DataFaults | None = None
    file: str | None = None
    timestamps: Timestamps = "now"
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """How many records were acknowledged, by which seed, and whether that is all there was to send."""

    records: int
    seed: int | None
    is_all: bool


def parse_faults(shares: Sequence[str], clean: bool) -> DataFaults:
    """`late=0.1` and the like, over the defaults or over nothing. Raises UsageError."""
    base = DataFaults.none() if clean else DataFaults()
    known = asdict(base)
    for text in shares:
        name, _, share = text.partition("=")
        name = name.strip().replace("-", "_")
        try:
            if name not in known:
                raise ValueError(name)
            known[name] = float(share)
        except ValueError:
            raise UsageError(f"--dirt {text}: expected NAME=SHARE, NAME one of {', '.join(known)}") from None
    try:
        return DataFaults(**known)
    except ValueError as error:
        raise UsageError(f"--dirt: {error}") from None


def produce(settings: Settings, request: Request, stop: threading.Event) -> Sent:
    """Send what was asked for until it is all sent, or until `stop`."""
    if request.file is not None:
        return _file(settings, request, stop)
    seed = secrets.randbelow(1_000_000) if request.seed is None else request.seed
    if request.seed is None:
        console.say(f"seed {seed}: --seed {seed} makes the same world again")
    if request.days is None and request.events is None and request.start is None:
        return (_live if request.count is None or request.rate is not None else _some)(settings, request, seed, stop)
    days = request.days or DEFAULT_DAYS
    start = request.start or datetime.now(UTC).date() - timedelta(days=days)
    world = World(seed, start, days, request.events or DEFAULT_EVENTS, request.dirt or DataFaults())
    return history(settings, world, stop, rate=request.rate, count=request.count, topics=request.topics)


def history(
    settings: Settings,
    world: World,
    stop: threading.Event,
    *,
    rate: float | None = None,
    count: int | None = None,
    topics: Sequence[str] = TOPICS,
) -> Sent:
    """Send a world's history; after an interruption the same call goes on where it stopped."""
    state = settings.home / STATE
    with _sending(settings, count or int(world.events * share_of(topics))) as (log, progress):
        records = publish_history(
            log, world, state, rate=rate, count=count, topics=topics, progress=progress, stop=stop.is_set
        )
    return Sent(records, world.seed, is_all=not state.exists())


def _live(settings: Settings, request: Request, seed: int, stop: threading.Event) -> Sent:
    rate = request.rate or DEFAULT_RATE
    batches = live(seed, rate, datetime.now(UTC), faults=request.dirt, topics=request.topics, clock=time.time)
    with _sending(settings, request.count) as (log, progress):
        records = publish_live(
            log, batches, count=request.count, topics=request.topics, progress=progress, stop=stop.is_set
        )
    return Sent(records, seed, is_all=request.count in (None, records))


def _some(settings: Settings, request: Request, seed: int, stop: threading.Event) -> Sent:
    """So many events of yesterday's last minute, as fast as it goes: the same all day, and late for nobody."""
    assert request.count is not None
    midnight = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC)
    rate = max(1_000.0, request.count / _SOME.total_seconds())
    batches = live(seed, rate, midnight - _SOME, faults=request.dirt, topics=request.topics)
    with _sending(settings, request.count) as (log, progress):
        records = publish(log, batches, count=request.count, topics=request.topics, progress=progress, stop=stop.is_set)
    return Sent(records, seed, is_all=records == request.count)


def _file(settings: Settings, request: Request, stop: threading.Event) -> Sent:
    assert request.file is not None
    if len(request.topics) != 1:
        raise UsageError("--file needs one --topic: expected e.g. --topic pos-transactions")
    if request.file != "-" and (not Path(request.file).exists() or Path(request.file).is_dir()):  # a pipe is fine
        raise UsageError(f"--file {request.file}: expected a file of events, one a line, or - for standard input")
    with _sending(settings, request.count) as (log, progress):
        if request.partition is not None:
            last = max(log.topic_state(request.topics[0]).end_offsets)
            if request.partition > last:
                raise UsageError(f"--partition {request.partition}: {request.topics[0]} has the partitions 0 to {last}")
        records = publish_file(
            log,
            request.topics[0],
            request.file,
            rate=request.rate,
            count=request.count,
            timestamps=request.timestamps,
            partition=request.partition,
            progress=progress,
            stop=stop.is_set,
        )
    return Sent(records, None, is_all=not stop.is_set())


@contextmanager
def _sending(settings: Settings, total: int | None) -> Iterator[tuple[Log, Callable[[int], None]]]:
    """The log with its topics made, and what shows the progress."""
    log = open_log_of(settings)
    try:
        log.ensure_topics(list(TOPICS), settings.partitions)
        with bars() as shown:
            yield log, _counting(shown, total)
    finally:
        log.close()


def _counting(shown: Bars, total: int | None) -> Callable[[int], None]:
    sent = 0

    def count(records: int) -> None:
        nonlocal sent
        sent += records
        shown.update("events", sent, total if total is None else max(total, sent))

    return count


def world_of(plan: Mapping[str, object]) -> World:
    """The world that a demo remembers: seed, start, days, events."""
    return World(
        int(str(plan["seed"])), date.fromisoformat(str(plan["start"])), int(str(plan["days"])), int(str(plan["events"]))
    )
