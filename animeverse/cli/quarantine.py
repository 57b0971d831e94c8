"""The command group `quarantine`: list, show and release quarantined records (R25, R27)."""

from typing import TYPE_CHECKING, Annotated

import typer

from animeverse.cli.options import Json, examples, parse_topics, print_json, settings_of

if TYPE_CHECKING:
    from pipelines.quarantine.records import QuarantineFilter

quarantine = typer.Typer(
    help="List, show and release quarantined records.",
    epilog=examples(
        "animeverse quarantine list",
        "animeverse quarantine show --reason too_late --limit 5",
        "animeverse quarantine release --topic pos-transactions --reason too_late --dry-run",
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)

Topic = Annotated[str | None, typer.Option(help="Select records of this topic.")]
Reasons = Annotated[
    list[str] | None,
    typer.Option(
        "--reason", "--rule", help="Select records with this reason, such as too_late; repeat for any of several."
    ),
]
Offsets = Annotated[
    list[str] | None,
    typer.Option("--offset", help="Select the record at PARTITION/OFFSET, such as 2/1017; repeat for several."),
]
Since = Annotated[str | None, typer.Option(help="Select records from this date or time on (UTC without a zone).")]
Until = Annotated[str | None, typer.Option(help="Select records before this date or time.")]


def filter_of(
    topic: str | None, reason: list[str] | None, offset: list[str] | None, since: str | None, until: str | None
) -> "QuarantineFilter":
    """Return the filter that the options describe. Raises UsageError."""
    from pipelines.bronze.record_ref import parse_record_ref
    from pipelines.quarantine.records import QuarantineFilter, parse_moment

    return QuarantineFilter(
        topic=parse_topics([topic])[0] if topic is not None else None,
        reasons=frozenset(reason or ()),
        places=frozenset(map(parse_record_ref, offset or ())),
        since=parse_moment("--since", since),
        until=parse_moment("--until", until),
    )


@quarantine.command(
    "list",
    epilog=examples(
        "animeverse quarantine list", "animeverse quarantine list --topic cinema-sales --since 2026-01-31 --json"
    ),
)
def quarantine_list(
    context: typer.Context,
    topic: Topic = None,
    reason: Reasons = None,
    offset: Offsets = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Count quarantined records by topic and rule, each with a sample."""
    from animeverse.terminal.quarantine import print_rules, rules_to_json
    from pipelines.lake.catalog import open_lakehouse
    from pipelines.quarantine.records import count_by_rule

    selection = filter_of(topic, reason, offset, since, until)
    lake = open_lakehouse(settings_of(context))
    try:
        rules = count_by_rule(lake, selection)
    finally:
        lake.close()
    print_json(rules_to_json(rules)) if as_json else print_rules(rules)


@quarantine.command(
    "show",
    epilog=examples(
        "animeverse quarantine show --topic pos-transactions --offset 2/1017",
        "animeverse quarantine show --reason invalid_json --limit 100 --json",
    ),
)
def quarantine_show(
    context: typer.Context,
    topic: Topic = None,
    reason: Reasons = None,
    offset: Offsets = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="Most records to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Show quarantined records in full, with their releases."""
    from animeverse.terminal.quarantine import print_records, records_to_json
    from pipelines.lake.catalog import open_lakehouse
    from pipelines.quarantine.records import full_records

    selection = filter_of(topic, reason, offset, since, until)
    lake = open_lakehouse(settings_of(context))
    try:
        records, count = full_records(lake, selection, limit)
    finally:
        lake.close()
    print_json(records_to_json(records)) if as_json else print_records(records, count)


@quarantine.command(
    "release",
    epilog=examples(
        "animeverse quarantine release --topic pos-transactions --reason too_late --dry-run",
        "animeverse quarantine release --topic pos-transactions --offset 2/1017 --fix fix.sql",
        "animeverse quarantine release --topic cinema-sales --reason enum:channel --fix repairs:channel",
    ),
)
def quarantine_release(
    context: typer.Context,
    topic: Annotated[str, typer.Option(help="Release records of this topic.")],
    reason: Reasons = None,
    offset: Offsets = None,
    since: Since = None,
    until: Until = None,
    fix: Annotated[
        str | None, typer.Option(help="File with an SQL expression over value or json, or a Python module:function.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the records that would pass, and release nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Send quarantined records to their topic again, unchanged or fixed.

    Each record is released once, however often the command runs. The new record refers to the quarantined one. Records
    that were too late are accepted as late; all other rules are checked again. An SQL fix is one expression that
    returns the new JSON text, such as replace(value, '"3"', '3'). A Python fix takes and returns bytes. Records for
    which a fix returns null are not released.
    """
    from animeverse.terminal import console
    from animeverse.terminal.quarantine import print_dry_run, print_released
    from pipelines.clock import utc_now
    from pipelines.quarantine.fixes import load_fix

    settings, selection = settings_of(context), filter_of(topic, reason, offset, since, until)
    loaded_fix = load_fix(fix) if fix is not None else None
    if dry_run:
        from pipelines.quarantine.dry_run import dry_run_release

        result = dry_run_release(settings, selection, loaded_fix, utc_now())
        print_json(result.to_dict()) if as_json else print_dry_run(result)
    else:
        from pipelines.quarantine.release import release

        released = release(settings, selection, loaded_fix, console.say)
        print_json(released.to_dict()) if as_json else print_released(released)
