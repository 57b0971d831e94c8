"""Options, parsing and output shared by the commands."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from pipelines.config.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Format = Literal["table", "csv", "json"]


def examples(*lines: str) -> str:
    """Return the epilog of a command's help: the examples, one per line."""
    return "\b\n" + "\n".join(["Examples:", *(f"  {line}" for line in lines)])


def settings_of(context: typer.Context, **overrides: Any) -> "Settings":
    """Load the settings of the home given on the command line. Raises SettingsError."""
    from pipelines.config.settings import load_settings

    return load_settings(home=context.obj, **overrides)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))  # noqa: T201


def reject_options(values: "Mapping[str, Any]", expected: str) -> None:
    """Raise UsageError when one of these options is given; None means that it is not. `expected` says what fits."""
    from pipelines.errors import UsageError

    given = [f"--{name}" for name, value in values.items() if value is not None]
    if given:
        raise UsageError(f"{', '.join(given)}: expected {expected}")


def parse_date(text: str | None) -> "date | None":
    """Parse the date of `--start`. Raises UsageError."""
    from datetime import date

    from pipelines.errors import UsageError

    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--start {text}: expected a date such as 2026-01-31") from None


def parse_time(text: str | None, option: str = "--as-of") -> "datetime | None":
    """Parse a time. A time without a zone is UTC. Raises UsageError."""
    from datetime import UTC, datetime

    from pipelines.errors import UsageError

    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text}: expected a time such as 2026-01-31T12:00:00Z") from None
    return time.replace(tzinfo=time.tzinfo or UTC)


def parse_topics(names: list[str]) -> list[str]:
    """Return the given topics, or all topics when none is given. Raises UsageError that suggests a similar name."""
    import difflib

    from pipelines.contracts.registry import TOPICS
    from pipelines.errors import UsageError

    for name in names:
        if name not in TOPICS:
            similar = difflib.get_close_matches(name, TOPICS, n=1, cutoff=0.3)
            hint = f"did you mean {similar[0]}?" if similar else f"expected one of {', '.join(TOPICS)}"
            raise UsageError(f"Unknown topic {name}: {hint}")
    return names or list(TOPICS)
