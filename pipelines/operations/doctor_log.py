"""What `animeverse doctor` asks the log: does it answer, are the topics there or can they be made, what time is it."""

from collections.abc import Iterator
from contextlib import closing

from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from pipelines.durations import show_duration
from pipelines.errors import LakehouseError, LogRefusedError
from pipelines.log.interface import Log
from pipelines.log.open import open_log
from pipelines.operations.doctor_finding import Finding, probe_folder

_NEAR = 2.0  # seconds between two clocks that nobody notices


def _open(settings: Settings) -> Log:
    return open_log(settings.log_url, kafka=settings.kafka, topic_prefix=settings.topic_prefix)


def _is_unborn(settings: Settings) -> bool:
    """Whether the log is an embedded one that nobody has written to yet: nothing may make it here."""
    return settings.log_path is not None and not settings.log_path.exists()


def log(settings: Settings) -> Iterator[Finding]:
    """All that is asked of the log; where it does not answer, that is the one thing to mend."""
    yield (answer := _answers(settings))
    if answer.status != "fail":
        yield from _topics(settings)
        yield _clock(settings)


def _answers(settings: Settings) -> Finding:
    """It can be reached, and takes us for who we are."""
    path = settings.log_path
    if path is not None and _is_unborn(settings):
        try:
            probe_folder(path.parent)
        except OSError as error:
            detail = f"{path} cannot be made: {error.strerror}"
            return Finding("log", "fail", detail, "mend the folder, or name another place by ANIMEVERSE_LOG_URL")
        return Finding("log", "ok", f"{settings.log_url} is made by the first `animeverse produce`")
    try:
        with closing(_open(settings)) as opened:
            return Finding("log", "ok", f"{settings.log_url} answers: log {opened.identity}")
    except LakehouseError as error:
        return Finding("log", "fail", str(error))


def _topics(settings: Settings) -> Iterator[Finding]:
    """All are there with as many partitions as are set, or may be made; and we may read and write them."""
    if _is_unborn(settings):
        yield Finding("topics", "ok", "made with the log")
        return
    partitions: dict[str, int] = {}
    missing: list[str] = []
    with closing(_open(settings)) as opened:
        for topic in TOPICS:
            try:
                partitions[topic] = len(opened.topic_state(topic).end_offsets)
            except LogRefusedError:
                missing.append(topic)
    if settings.log_path is None:
        from pipelines.log.kafka.probe import refused_making, withheld

        names = [settings.topic_name(topic) for topic in missing]
        if names and (why := refused_making(settings, names)):
            make = f"have them made: `rpk topic create -p {settings.partitions} {' '.join(names)}`"
            yield Finding("topics", "fail", f"{', '.join(names)} are not there and may not be made: {why}", make)
            return
        if denied := withheld(settings, [settings.topic_name(topic) for topic in partitions]):
            yield Finding(
                "topics", "fail", f"this user may not {'; '.join(denied)}", "have it granted (`rpk acl create`)"
            )
            return
    other = [f"{topic} has {count}" for topic, count in partitions.items() if count != settings.partitions]
    there = f"{len(partitions)} of {len(TOPICS)} there" + (", the others are made when first used" if missing else "")
    if other:
        detail = f"{there}; {', '.join(other)} partitions, {settings.partitions} are set"
        yield Finding("topics", "warn", detail, "topics keep what they have: set ANIMEVERSE_PARTITIONS to that")
    else:
        yield Finding("topics", "ok", f"{there}, {settings.partitions} partitions each")


def _clock(settings: Settings) -> Finding:
    """How far this machine's clock is from the broker's: a record counts as from the future by their difference."""
    if settings.log_path is not None:
        return Finding("clock", "ok", "the embedded log goes by this machine's clock")
    from pipelines.log.kafka.probe import NotMeasuredError, ahead_of_broker

    try:
        ahead = ahead_of_broker(settings)
    except NotMeasuredError as error:
        mend = "not needed; see that both machines keep time (chrony, systemd-timesyncd)"
        return Finding("clock", "warn", f"not measured: {error}", mend)
    detail = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the broker's"
    tolerance = settings.future_tolerance.total_seconds()
    if abs(ahead) >= tolerance:
        most = show_duration(settings.future_tolerance)
        mend = f"events further ahead than {most} are quarantined: set the clock by NTP"
        return Finding("clock", "fail", detail, mend)
    if abs(ahead) > _NEAR:
        return Finding("clock", "warn", detail, "set both clocks by NTP (chrony, systemd-timesyncd)")
    return Finding("clock", "ok", detail)
