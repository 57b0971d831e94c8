"""Options and parsing shared by several commands."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from datetime import date, datetime

    from pipelines.config.settings import Settings


def examples(*lines: str) -> str:
    """What stands below a command's help, line by line as it is typed."""
    return "\b\n" + "\n".join(["Examples:", *(f"  {line}" for line in lines)])


Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]

Format = Literal["table", "csv", "json"]


def settings_of(context: typer.Context, **overrides: Any) -> "Settings":
    """The settings of the home that the command line names. Raises SettingsError."""
    from pipelines.config.settings import load_settings

    return load_settings(home=context.obj, **overrides)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))  # noqa: T201


def refuse_together(file: str | None, **others: Any) -> None:
    """Options of generators do not go with --file, options of files not without."""
    from pipelines.errors import UsageError

    given = [f"--{name}" for name, value in others.items() if value is not None]
    if given and file:
        raise UsageError(f"{', '.join(given)}: expected without --file")
    if given and file == "":
        raise UsageError(f"{', '.join(given)}: expected with --file only")


def date_of(text: str | None) -> "date | None":
    """The date that `--start` names. Raises UsageError."""
    from datetime import date

    from pipelines.errors import UsageError

    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--start {text}: expected a date such as 2026-01-31") from None


def moment_of(text: str | None, option: str = "--as-of") -> "datetime | None":
    """A time; without a zone it is UTC."""
    from datetime import UTC, datetime

    from pipelines.errors import UsageError

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text}: expected a time such as 2026-01-31T12:00:00Z") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def topics_of(names: list[str]) -> list[str]:
    """The topics named, or all. Raises UsageError with the nearest right name."""
    import difflib

    from pipelines.contracts.registry import TOPICS
    from pipelines.errors import UsageError

    for name in names:
        if name not in TOPICS:
            near = difflib.get_close_matches(name, TOPICS, n=1, cutoff=0.3)
            raise UsageError(f"{name} is no topic: " + (f"did you mean {near[0]}?" if near else ", ".join(TOPICS)))
    return names or list(TOPICS)
