"""Send generated events, or a file of events, to the log."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from animeverse.services.reporter import SILENT, Reporter
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

HISTORY_STATE = "producing.json"  # where an interrupted history continues
DEFAULT_RATE = 100.0
DEFAULT_DAYS, DEFAULT_EVENTS = 60, 200_000
_BURST_WINDOW = timedelta(minutes=1)
_BURST_RATE = 1_000.0  # events a second, at least
_RANDOM_SEEDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """What to send.

    `file` sends a file. `events`, `days` or `start` generate a history. A `count` without a `rate` sends that many
    events at once. All other requests are live, at `rate` events a second.
    """

    topics: Sequence[str]
    rate: float | None = None
    count: int | None = None
    seed: int | None = None
    start: date | None = None
    days: int | None = None
    events: int | None = None
    faults: DataFaults | None = None
    file: str | None = None
    timestamps: Timestamps = "now"
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """The number of acknowledged records, the seed that generated them, and whether the request is complete."""

    records: int
    seed: int | None
    is_all: bool


def parse_faults(shares: Sequence[str], clean: bool) -> DataFaults:
    """Parse data faults such as `late=0.1`. Faults that are not named keep the default share; with `clean`, 0.

    Raises UsageError.
    """
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
            raise UsageError(f"--faults {text}: expected NAME=SHARE, NAME one of {', '.join(known)}") from None
    try:
        return DataFaults(**known)
    except ValueError as error:
        raise UsageError(f"--faults: {error}") from None


def produce(settings: Settings, request: Request, stop: threading.Event, reporter: Reporter = SILENT) -> Sent:
    """Send what the request describes until all is acknowledged or `stop` is set. Raises UsageError."""
    if request.file is not None:
        return _send_file(settings, request, stop, reporter)
    seed = secrets.randbelow(_RANDOM_SEEDS) if request.seed is None else request.seed
    if request.seed is None:
        reporter.say(f"seed {seed}: --seed {seed} generates the same events again")
    if request.days is None and request.events is None and request.start is None:
        send = _send_live if request.count is None or request.rate is not None else _send_burst
        return send(settings, request, seed, stop, reporter)
    days = request.days or DEFAULT_DAYS
    start = request.start or datetime.now(UTC).date() - timedelta(days=days)
    world = World(seed, start, days, request.events or DEFAULT_EVENTS, request.faults or DataFaults())
    return send_history(settings, world, stop, reporter, rate=request.rate, count=request.count, topics=request.topics)


def send_history(
    settings: Settings,
    world: World,
    stop: threading.Event,
    reporter: Reporter = SILENT,
    *,
    rate: float | None = None,
    count: int | None = None,
    topics: Sequence[str] = TOPICS,
) -> Sent:
    """Send a world's history. After an interruption the same call continues where it stopped."""
    state = settings.home / HISTORY_STATE
    with _sending(settings, reporter, count or int(world.events * share_of(topics))) as (log, progress):
        records = publish_history(
            log, world, state, rate=rate, count=count, topics=topics, progress=progress, stop=stop.is_set
        )
    return Sent(records, world.seed, is_all=not state.exists())


def send_live_for(settings: Settings, request: Request, seconds: float, stop: threading.Event) -> Sent:
    """Send live events for some seconds, or until `stop` is set. `request.seed` must be given."""
    assert request.seed is not None
    deadline = time.monotonic() + seconds
    return _send_live(settings, request, request.seed, stop, SILENT, is_over=lambda: time.monotonic() > deadline)


def _send_live(
    settings: Settings,
    request: Request,
    seed: int,
    stop: threading.Event,
    reporter: Reporter,
    is_over: Callable[[], bool] = lambda: False,
) -> Sent:
    rate = request.rate or DEFAULT_RATE
    batches = live(seed, rate, datetime.now(UTC), faults=request.faults, topics=request.topics, clock=time.time)
    with _sending(settings, reporter, request.count) as (log, progress):
        records = publish_live(
            log,
            batches,
            count=request.count,
            topics=request.topics,
            progress=progress,
            stop=lambda: stop.is_set() or is_over(),
        )
    return Sent(records, seed, is_all=request.count in (None, records))


def _send_burst(settings: Settings, request: Request, seed: int, stop: threading.Event, reporter: Reporter) -> Sent:
    """Send `request.count` events of yesterday's last minute, as fast as possible.

    The events are the same during one day, and none of them is late.
    """
    assert request.count is not None
    midnight = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC)
    rate = max(_BURST_RATE, request.count / _BURST_WINDOW.total_seconds())
    batches = live(seed, rate, midnight - _BURST_WINDOW, faults=request.faults, topics=request.topics)
    with _sending(settings, reporter, request.count) as (log, progress):
        records = publish(log, batches, count=request.count, topics=request.topics, progress=progress, stop=stop.is_set)
    return Sent(records, seed, is_all=records == request.count)


def _send_file(settings: Settings, request: Request, stop: threading.Event, reporter: Reporter) -> Sent:
    assert request.file is not None
    if len(request.topics) != 1:
        raise UsageError("--file needs one --topic: expected e.g. --topic pos-transactions")
    (topic,) = request.topics
    if request.file != "-" and (not Path(request.file).exists() or Path(request.file).is_dir()):  # a pipe is accepted
        raise UsageError(f"--file {request.file}: expected a file with one event per line, or - for standard input")
    with _sending(settings, reporter, request.count) as (log, progress):
        if request.partition is not None:
            last = max(log.topic_state(topic).end_offsets)
            if request.partition > last:
                raise UsageError(f"--partition {request.partition}: {topic} has the partitions 0 to {last}")
        records = publish_file(
            log,
            topic,
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
def _sending(settings: Settings, reporter: Reporter, total: int | None) -> Iterator[tuple[Log, Callable[[int], None]]]:
    """Open the log, create missing topics, and yield the log and a function that counts sent records."""
    log = open_log_of(settings)
    sent = 0

    def count(records: int) -> None:
        nonlocal sent
        sent += records
        reporter.update("events", sent, total if total is None else max(total, sent))

    try:
        log.ensure_topics(list(TOPICS), settings.partitions)
        yield log, count
    finally:
        log.close()
