"""The exceptions, as a tree. Bad data is a quarantined row; an exception means that machinery failed.

LakehouseError               any error for a user; its text says what was expected, what was found, what to do
├── RetryableError           the same call may succeed later: flows and `--follow` retry it
│   ├── LogUnavailableError      the broker or the log file cannot be reached
│   ├── StoreUnavailableError    disk, object store or catalog cannot be reached or is full
│   └── CommitConflictError      another writer committed first: reload and continue
└── PermanentError           no retry helps
    ├── SettingsError            a setting is unknown, malformed or contradicts another one
    ├── UsageError               the command or its arguments are wrong (exit code 2)
    ├── NoLakehouseError         there is nothing to read yet (exit code 2)
    ├── LogRefusedError          the log refused a record or a topic
    ├── LogIdentityError         the topic is not the one that bronze was read from, or offsets are missing
    ├── AlreadyRunningError      another process is writing to this home
    ├── DriftFrozenError         policy `freeze` met an unknown field
    ├── BronzeTruncatedError     silver cannot be rebuilt: retention removed the bronze records it was made from
    └── CheckFailedError         a required check failed; nothing was published
"""


class LakehouseError(Exception):
    """The base class. `str(error)` is the message for the user; `exit_code` is the exit code of the command."""

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
    """No retry helps: the cause must be fixed first."""


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
    """The topic is not the one that bronze was read from, or offsets it needs are missing."""


class AlreadyRunningError(PermanentError):
    """Another process is writing to this home."""


class DriftFrozenError(PermanentError):
    """A topic with drift policy `freeze` met an unknown field."""


class BronzeTruncatedError(PermanentError):
    """Retention has removed the bronze records that silver would be rebuilt from."""


class CheckFailedError(PermanentError):
    """A required check failed; nothing was published."""
