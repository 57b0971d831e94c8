"""Opens the log that the settings name."""

from dataclasses import dataclass

from pipelines.config.settings import Settings
from pipelines.errors import LogUnavailableError
from pipelines.log.interface import Log
from pipelines.log.open import open_log


@dataclass(frozen=True, slots=True)
class LogConnection:
    """An open log, or the reason why it cannot be reached."""

    log: Log | None
    error: str | None

    def close(self) -> None:
        """Close the log if it is open."""
        if self.log is not None:
            self.log.close()


def open_log_of(settings: Settings) -> Log:
    """Open the log of the settings, without connecting to it. Raises SettingsError for an invalid address."""
    return open_log(settings.log_url, kafka=settings.kafka, topic_prefix=settings.topic_prefix)


def connect_log(settings: Settings) -> LogConnection:
    """Open the log of the settings and ask for its identity.

    An unreachable log is a result, not an exception. Raises SettingsError and LogRefusedError.
    """
    log = open_log_of(settings)
    try:
        _ = log.identity
    except LogUnavailableError as error:
        log.close()
        return LogConnection(None, str(error))
    return LogConnection(log, None)
