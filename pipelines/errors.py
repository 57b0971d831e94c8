"""What can go wrong, as a tree. Bad data is a quarantined row; only broken machinery is an exception.

LakehouseError               anything a user may see; its text says what was expected, what was found, what to do
├── RetryableError           the same call may succeed later: flows and `--follow` retry it
│   ├── LogUnavailableError      the broker or the log file cannot be reached
│   ├── StoreUnavailableError    disk, object store or catalog cannot be reached or is full
│   └── CommitConflictError      another writer committed first: reload and go on
└── PermanentError           no retry helps
    ├── SettingsError            a setting is unknown, malformed or contradicts another one
    ├── UsageError               the command or its arguments are wrong (exit code 2)
    ├── NoLakehouseError         there is nothing to read yet (exit code 2)
    ├── LogRefusedError          the log refused a record or a topic
    ├── LogIdentityError         the topic is not the one that bronze was read from, or offsets are gone
    ├── AlreadyRunningError      another process writes this home
    ├── OwnershipError           the lake root belongs to another catalog, or its catalog was lost
    ├── DriftFrozenError         policy `freeze` met an unknown field
    ├── BronzeTruncatedError           silver cannot be made anew: retention removed bronze that it was made from
    └── CheckFailedError         a check that must hold does not; nothing was published
"""


class LakehouseError(Exception):
    """The base: `str(error)` is a message for a person; `exit_code` is what a command ends with."""

    exit_code = 1


class RetryableError(LakehouseError):
    """The same call may succeed later."""


class LogUnavailableError(RetryableError):
    """The log cannot be reached."""


class StoreUnavailableError(RetryableError):
    """The disk, the object store or the catalog cannot be reached, or is full."""


class CommitConflictError(RetryableError):
    """Another writer committed to the table first."""


class PermanentError(LakehouseError):
    """No retry helps: somebody has to change something."""


class SettingsError(PermanentError):
    """A setting is unknown, malformed or contradicts another one."""

    exit_code = 2


class UsageError(PermanentError):
    """The command or its arguments are wrong."""

    exit_code = 2


class NoLakehouseError(PermanentError):
    """There is no lakehouse to read."""

    exit_code = 2


class LogRefusedError(PermanentError):
    """The log refused a record or a topic."""


class LogIdentityError(PermanentError):
    """The topic is not the one that bronze was read from, or offsets it needs are gone."""


class AlreadyRunningError(PermanentError):
    """Another process writes this home."""


class OwnershipError(PermanentError):
    """The lake root belongs to another catalog, its own catalog was lost, or this is a copy of another lake."""


class DriftFrozenError(PermanentError):
    """A topic with drift policy `freeze` met an unknown field."""


class BronzeTruncatedError(PermanentError):
    """Retention has removed from bronze what silver would have to be made from."""


class CheckFailedError(PermanentError):
    """A check that must hold does not; nothing was published."""
