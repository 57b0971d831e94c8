"""Checks of `animeverse doctor` for the log: connection, topics, permissions and the broker's clock."""

from collections.abc import Iterator
from contextlib import closing

from pipelines.config.log import open_log_of
from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from pipelines.durations import show_duration
from pipelines.errors import LakehouseError, LogRefusedError
from pipelines.operations.doctor_finding import Finding, probe_folder

_TOLERATED_CLOCK_OFFSET = 2.0  # seconds


def _is_missing_file(settings: Settings) -> bool:
    """Whether the log is an embedded one whose file does not exist yet. The checks must not create it."""
    return settings.log_path is not None and not settings.log_path.exists()


def _servers(settings: Settings) -> str:
    return settings.log_url.removeprefix("kafka://")


def log(settings: Settings) -> Iterator[Finding]:
    """Run all checks of the log; only the first one if it fails."""
    yield (connection := _connection(settings))
    if connection.status != "fail":
        yield from _topics(settings)
        yield _clock(settings)


def _connection(settings: Settings) -> Finding:
    """The log is reachable and accepts the credentials."""
    path = settings.log_path
    if path is not None and _is_missing_file(settings):
        try:
            probe_folder(path.parent)
        except OSError as error:
            detail = f"{path} cannot be created: {error.strerror}"
            return Finding("log", "fail", detail, "fix the folder, or set ANIMEVERSE_LOG_URL to another path")
        return Finding("log", "ok", f"{settings.log_url} is created by the first `animeverse produce`")
    try:
        with closing(open_log_of(settings)) as opened:
            return Finding("log", "ok", f"{settings.log_url} answers: log {opened.identity}")
    except LakehouseError as error:
        return Finding("log", "fail", str(error))


def _topics(settings: Settings) -> Iterator[Finding]:
    """All topics exist with the configured number of partitions or can be created, and can be read and written."""
    if _is_missing_file(settings):
        yield Finding("topics", "ok", "created with the log")
        return
    partitions: dict[str, int] = {}
    missing: list[str] = []
    with closing(open_log_of(settings)) as opened:
        for topic in TOPICS:
            try:
                partitions[topic] = len(opened.topic_state(topic).end_offsets)
            except LogRefusedError:
                missing.append(topic)
    if settings.log_path is None:
        refusal = _refused_permission(settings, missing, list(partitions))
        if refusal is not None:
            yield refusal
            return
    different = [f"{topic} has {count}" for topic, count in partitions.items() if count != settings.partitions]
    there = f"{len(partitions)} of {len(TOPICS)} there" + (", the others are created on first use" if missing else "")
    if different:
        detail = f"{there}; {', '.join(different)} partitions, {settings.partitions} are set"
        fix = "an existing topic keeps its partitions: set ANIMEVERSE_PARTITIONS to their number"
        yield Finding("topics", "warn", detail, fix)
    else:
        yield Finding("topics", "ok", f"{there}, {settings.partitions} partitions each")


def _refused_permission(settings: Settings, missing: list[str], existing: list[str]) -> Finding | None:
    """Return a finding if the broker refuses to create the missing topics or to read or write the existing ones."""
    from pipelines.log.kafka.probe import denied_operations, topic_creation_refusal

    names = [settings.topic_name(topic) for topic in missing]
    if names:
        refusal = topic_creation_refusal(_servers(settings), settings.kafka, names, settings.partitions)
        if refusal:
            fix = f"have them created: `rpk topic create -p {settings.partitions} {' '.join(names)}`"
            return Finding("topics", "fail", f"{', '.join(names)} do not exist and cannot be created: {refusal}", fix)
    denied = denied_operations(_servers(settings), settings.kafka, [settings.topic_name(topic) for topic in existing])
    if denied:
        fix = "have the permissions granted (`rpk acl create`)"
        return Finding("topics", "fail", f"this user may not {'; '.join(denied)}", fix)
    return None


def _clock(settings: Settings) -> Finding:
    """The clocks of this machine and the broker agree: their difference makes records appear to be in the future."""
    if settings.log_path is not None:
        return Finding("clock", "ok", "the embedded log uses this machine's clock")
    from pipelines.log.kafka.probe import NotMeasuredError, clock_offset

    try:
        offset = clock_offset(_servers(settings), settings.kafka, settings.topic_prefix)
    except NotMeasuredError as error:
        fix = "optional: check that both machines synchronize their clocks (chrony, systemd-timesyncd)"
        return Finding("clock", "warn", f"not measured: {error}", fix)
    detail = f"{abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} the broker's"
    if abs(offset) >= settings.future_tolerance.total_seconds():
        tolerance = show_duration(settings.future_tolerance)
        fix = f"events more than {tolerance} ahead are quarantined: set the clock by NTP"
        return Finding("clock", "fail", detail, fix)
    if abs(offset) > _TOLERATED_CLOCK_OFFSET:
        return Finding("clock", "warn", detail, "set both clocks by NTP (chrony, systemd-timesyncd)")
    return Finding("clock", "ok", detail)
