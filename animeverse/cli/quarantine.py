"""The command group `quarantine`: list, show and release quarantined records."""

from typing import Annotated, Any

import typer

from animeverse.cli.options import Json, examples, print_json, settings_of, topics_of

quarantine = typer.Typer(
    help="Look at quarantined records, and send them again.",
    epilog=examples(
        "animeverse quarantine list",
        "animeverse quarantine show --reason too_late --limit 5",
        "animeverse quarantine release --topic pos-transactions --reason too_late --dry-run",
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)


Reasons = Annotated[
    list[str] | None, typer.Option("--reason", "--rule", help="Only this rule's, such as too_late; several: any.")
]


Offsets = Annotated[
    list[str] | None, typer.Option("--offset", help="PARTITION/OFFSET, such as 2/1017; may be given several times.")
]

Since = Annotated[str | None, typer.Option(help="Only records from this date or time on, UTC unless it says so.")]

Until = Annotated[str | None, typer.Option(help="Only records before this date or time.")]

OneTopic = Annotated[str | None, typer.Option(help="Only this topic's.")]


def filter_of(
    topic: str | None, reason: list[str] | None, offset: list[str] | None, since: str | None, until: str | None
) -> Any:
    """The filter that the options describe. Raises UsageError."""
    from pipelines.bronze.record_ref import parse_record_ref
    from pipelines.quarantine.records import QuarantineFilter, parse_moment

    return QuarantineFilter(
        topic=topics_of([topic])[0] if topic is not None else None,
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
    topic: OneTopic = None,
    reason: Reasons = None,
    offset: Offsets = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Count what is in quarantine by topic and rule, each with a sample."""
    from animeverse.terminal import quarantine as quarantining
    from pipelines.lake.catalog import open_lakehouse
    from pipelines.quarantine.records import count_by_rule

    wanted = filter_of(topic, reason, offset, since, until)
    lake = open_lakehouse(settings_of(context))
    try:
        rules = count_by_rule(lake, wanted)
    finally:
        lake.close()
    print_json(quarantining.rules_as_json(rules)) if as_json else quarantining.print_rules(rules)


@quarantine.command(
    "show",
    epilog=examples(
        "animeverse quarantine show --topic pos-transactions --offset 2/1017",
        "animeverse quarantine show --reason invalid_json --limit 100 --json",
    ),
)
def quarantine_show(
    context: typer.Context,
    topic: OneTopic = None,
    reason: Reasons = None,
    offset: Offsets = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many.")] = 20,
    as_json: Json = False,
) -> None:
    """Show quarantined records whole, and what became of them since."""
    from animeverse.terminal import quarantine as quarantining
    from pipelines.lake.catalog import open_lakehouse
    from pipelines.quarantine.records import full_records

    wanted = filter_of(topic, reason, offset, since, until)
    lake = open_lakehouse(settings_of(context))
    try:
        records, count = full_records(lake, wanted, limit)
    finally:
        lake.close()
    if as_json:
        print_json(quarantining.records_as_json(records))
    else:
        quarantining.print_records(records, count)


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
    topic: Annotated[str, typer.Option(help="Whose records.")],
    reason: Reasons = None,
    offset: Offsets = None,
    since: Since = None,
    until: Until = None,
    fix: Annotated[
        str | None, typer.Option(help="A file with an SQL expression over value or json, or module:function.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many would pass.")] = False,
    as_json: Json = False,
) -> None:
    """Send records to their topic again, as they are or fixed, each once however often this is repeated.

    The log gets new records that name the old ones; too late ones are accepted as late then, all else is checked
    again. An SQL fix is one expression that gives the new JSON text, say replace(value, '"3"', '3'); a Python one
    takes and gives bytes. A fix that gives null leaves the record where it is.
    """
    from animeverse.terminal import console
    from animeverse.terminal import quarantine as quarantining
    from pipelines.clock import utc_now
    from pipelines.quarantine.fixes import load_fix

    settings, wanted = settings_of(context), filter_of(topic, reason, offset, since, until)
    chosen = load_fix(fix) if fix is not None else None
    if dry_run:
        from pipelines.quarantine.dry_run import dry_run_release

        found = dry_run_release(settings, wanted, chosen, utc_now())
        print_json(found.to_dict()) if as_json else quarantining.print_dry_run(found)
    else:
        from pipelines.quarantine.release import release

        done = release(settings, wanted, chosen, console.say)
        print_json(done.to_dict()) if as_json else quarantining.print_released(done)
