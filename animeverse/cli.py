"""The command line. Commands are thin: they read the settings, call a package, show the result.

Nothing heavy is imported before a command runs, so that help comes at once. Data goes to stdout, all else to stderr;
0 is fine, 1 a check that failed or machinery that broke, 2 wrong use.
"""

import gc
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pipelines.errors import LakehouseError

if TYPE_CHECKING:
    from datetime import date, datetime

    from pipelines.settings import Settings


def _examples(*lines: str) -> str:
    """What stands below a command's help, line by line as it is typed."""
    return "\b\n" + "\n".join(["Examples:", *(f"  {line}" for line in lines)])


app = typer.Typer(
    name="animeverse",
    help="A whole streaming lakehouse on one node, in which every number can be proved.",
    epilog=_examples("animeverse demo", "animeverse COMMAND --help"),
    no_args_is_help=True,
    rich_markup_mode=None,  # Rich's help takes 0.2 s to import
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_GC_THRESHOLDS = (20_000, 20, 50)  # imports make half a million objects and no garbage: a sixth of a command's start

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Format = Literal["table", "csv", "json"]


class _WithoutPandas:
    """Where the notebooks' pandas is installed, PyArrow imports it, which no command needs: a second each time."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """As if it was not installed."""
        if name == "pandas":
            raise ModuleNotFoundError("no command of animeverse uses pandas", name=name)


def main() -> None:
    """Run the command; what a user can mend is told without a traceback."""
    sys.meta_path.insert(0, _WithoutPandas())
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        app()
    except LakehouseError as error:
        print(f"animeverse: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has enough
        sys.exit(0)
    except OSError as error:
        print(f"animeverse: {error.strerror or error}: {error.filename or 'no file named'}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def _settings(context: typer.Context, **overrides: Any) -> "Settings":
    from pipelines.settings import load_settings

    return load_settings(home=context.obj, **overrides)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))  # noqa: T201


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("animeverse"))  # noqa: T201
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="Where all local state is (default: ANIMEVERSE_HOME).")] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """What holds for every command."""
    context.obj = home


@app.command(
    epilog=_examples("animeverse demo", "animeverse demo --events 50000 --days 14 --seed 7", "animeverse demo --fresh")
)
def demo(
    context: typer.Context,
    events: Annotated[int, typer.Option(min=1, help="How many events, master data included.")] = 200_000,
    days: Annotated[int, typer.Option(min=1, help="Over how many days up to now.")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the home that a demo made, and start over.")] = False,
) -> None:
    """Fill a lakehouse with a lively history and show it.

    Produces events with all that goes wrong with them, runs all layers, proves the numbers and prints them.
    """
    from animeverse.stopping import stop_on_signals

    settings = _settings(context)
    with stop_on_signals("stopping; the same command goes on from here") as stop:
        from animeverse.demo import run as run_demo

        code = run_demo(settings, events=events, days=days, seed=seed, fresh=fresh, stop=stop)
    raise typer.Exit(code)


@app.command(
    epilog=_examples(
        "animeverse produce --rate 500",
        "animeverse produce --events 200000 --days 60 --seed 1",
        "animeverse produce --topic cinema-sales --count 1000 --clean",
        "animeverse produce --topic pos-transactions --file sales.ndjson --timestamps event_time",
    )
)
def produce(
    context: typer.Context,
    topic: Annotated[list[str] | None, typer.Option(help="Only this topic; may be given several times.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Events a second, evenly.")] = None,
    count: Annotated[int | None, typer.Option(min=0, help="Stop after so many.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same makes the same world; else random.")] = None,
    events: Annotated[int | None, typer.Option(min=1, help="A history of so many events, as fast as it goes.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="A history of so many days (60).")] = None,
    start: Annotated[str | None, typer.Option(help="The history's first day, as 2026-01-31; else it ends now.")] = None,
    dirt: Annotated[list[str] | None, typer.Option(help="NAME=SHARE of events, such as late=0.1.")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Nothing goes wrong but what --dirt says.")] = False,
    file: Annotated[str | None, typer.Option(help="Events of your own, one a line; - is stdin.")] = None,
    timestamps: Annotated[
        Literal["now", "event_time"], typer.Option(help="When a file's records claim to have arrived.")
    ] = "now",
    partition: Annotated[int | None, typer.Option(min=0, help="One topic partition for a file's records.")] = None,
    as_json: Json = False,
) -> None:
    """Send events to the log: live, a history, or a file.

    Live at --rate (100) until --count or Ctrl-C; --count alone sends so many at once. --events or --days make a
    history, with which the same command goes on after an interruption. What is counted, the log has acknowledged.
    """
    from animeverse.stopping import stop_on_signals

    settings = _settings(context)
    topics = _topics(topic or [])
    _refuse_together(file, events=events, days=days, start=start, seed=seed, dirt=dirt or None, clean=clean or None)
    if file is None:
        _refuse_together("", timestamps=timestamps if timestamps != "now" else None, partition=partition)
    with stop_on_signals("stopping; what was counted is in the log", exit_code=1) as stop:
        from animeverse import producing

        request = producing.Request(
            topics=topics,
            rate=rate,
            count=count,
            seed=seed,
            start=_date(start),
            days=days,
            events=events,
            dirt=producing.parse_dirt(dirt or [], clean),
            file=file,
            timestamps=timestamps,
            partition=partition,
        )
        sent = producing.produce(settings, request, stop)
    if as_json:
        _print_json({"sent": sent.records, "seed": sent.seed, "all": sent.is_all})
    else:
        print(f"sent {sent.records} records")  # noqa: T201
    raise typer.Exit(0 if sent.is_all else 1)


def _refuse_together(file: str | None, **others: Any) -> None:
    """Options of generators do not go with --file, options of files not without."""
    from pipelines.errors import UsageError

    given = [f"--{name}" for name, value in others.items() if value is not None]
    if given and file:
        raise UsageError(f"{', '.join(given)}: expected without --file")
    if given and file == "":
        raise UsageError(f"{', '.join(given)}: expected with --file only")


def _date(text: str | None) -> "date | None":
    from datetime import date

    from pipelines.errors import UsageError

    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--start {text}: expected a date such as 2026-01-31") from None


@app.command(
    epilog=_examples(
        "animeverse run", "animeverse run all --follow", "animeverse run bronze --once --batch-size 10000 --json"
    )
)
def run(
    context: typer.Context,
    layer: Annotated[Literal["bronze", "silver", "gold", "all"], typer.Argument(help="Which layer.")] = "all",
    follow: Annotated[bool, typer.Option("--follow/--once", help="For ever, or what the log holds now.")] = False,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Most records a topic in a micro-batch (ANIMEVERSE_BATCH_SIZE).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run micro-batches through bronze, silver and gold.

    Until the log has nothing new, or for ever. Ctrl-C stops it and nothing is lost.
    """
    from animeverse.stopping import stop_on_signals

    settings = _settings(context, batch_size=batch_size)
    with stop_on_signals("stopping; what is not committed will be done by the next run") as stop:
        from animeverse import running

        report, took = running.run(settings, layer, follow=follow, stop=stop)
    if as_json:
        _print_json(running.as_json(report, took))
    else:
        running.print_report(report, took)


@app.command(epilog=_examples("animeverse serve", "animeverse serve --port 4300 --no-schedules"))
def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the Prefect server, where one is started.")] = 4200,
    schedules: Annotated[bool, typer.Option("--schedules/--no-schedules", help="Whether they are active.")] = True,
) -> None:
    """Run everything under Prefect on this machine: server, worker, deployments, schedules.

    Prints the address of the UI. Uses the server that PREFECT_API_URL names, if it answers. Ctrl-C ends all of it.
    """
    from animeverse.serving import serve as serve_home

    def say(message: str) -> None:
        print(message, file=sys.stderr, flush=True)  # noqa: T201

    serve_home(_settings(context), port=port, schedules=schedules, say=say, show=lambda url: print(url, flush=True))  # noqa: T201


@app.command(epilog=_examples("animeverse resume pos-transactions", "animeverse resume cinema-sales --json"))
def resume(
    context: typer.Context,
    topic: Annotated[list[str], typer.Argument(help="One topic or more, as the run that stopped named them.")],
    as_json: Json = False,
) -> None:
    """Go on with a topic whose log is not what was read before.

    After its records were taken by retention, it was made anew, or restored from an older copy. Notes in ops.log_gaps
    what is lost; the next run reads on. Where nothing stands in the way, nothing changes.
    """
    from datetime import UTC, datetime

    from animeverse.proofs import print_resumed
    from pipelines.resume import resume as resume_topics

    found = resume_topics(_settings(context), _topics(topic), lambda: datetime.now(UTC))
    _print_json([resumed.to_dict() for resumed in found]) if as_json else print_resumed(found)


@app.command(epilog=_examples("animeverse doctor", "ANIMEVERSE_LOG_URL=kafka://broker:9092 animeverse doctor --json"))
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Look at everything that can be set up wrong, and say how to mend it.

    Python, packages, settings, home, disk, log and topics, clock, catalog, store. Changes nothing and leaves nothing
    behind. Exit code 1 when a check fails.
    """
    from dataclasses import asdict

    from animeverse.doctoring import print_findings
    from pipelines.doctor import doctor as look

    found = look(context.obj)
    _print_json([asdict(of) for of in found]) if as_json else print_findings(found)
    sys.stdout.flush()
    code = int(any(of.status == "fail" for of in found))
    if any(thread.name.startswith("doctor-") for thread in threading.enumerate()):
        os._exit(code)  # who does not answer is not waited for
    raise typer.Exit(code)


@app.command(epilog=_examples("animeverse status", "animeverse status --json"))
def status(context: typer.Context, as_json: Json = False) -> None:
    """Show lag, watermark, freshness, rows and storage."""
    from animeverse.state import gold_status, print_status
    from pipelines.status import status as read_status

    settings = _settings(context)
    found = {**read_status(settings), "gold": gold_status(settings)}
    _print_json(found) if as_json else print_status(found)


@app.command(epilog=_examples("animeverse verify", "animeverse verify --rebuild --json"))
def verify(
    context: typer.Context,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build silver and gold anew beside, and compare.")] = False,
    as_json: Json = False,
) -> None:
    """Prove that nothing is lost and nothing counts twice.

    Counts again from the log, the tables and gold themselves. Exit code 1 when a check fails.
    """
    from animeverse.proofs import print_checks
    from pipelines.verify import verify as run_checks
    from warehouse.proof import gold_checks

    checks = run_checks(_settings(context), rebuild=rebuild, gold_checks=gold_checks)
    if as_json:
        _print_json([{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks])
    else:
        print_checks(checks)
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


@app.command(epilog=_examples("animeverse reconcile", "animeverse reconcile --json"))
def reconcile(context: typer.Context, as_json: Json = False) -> None:
    """Show that all adds up, and what late data changed.

    The conservation law for each topic, then the restatements. Exit code 1 when something does not add up.
    """
    from animeverse.reconciling import print_reconciliation
    from animeverse.reconciling import reconcile as count_all

    found = count_all(_settings(context))
    _print_json(found.to_dict()) if as_json else print_reconciliation(found)
    raise typer.Exit(0 if found.ok else 1)


@app.command(
    epilog=_examples(
        'animeverse query "from marts.daily_summary order by date desc limit 7"',
        'animeverse query "select topic, reasons, count(*) from silver.quarantine group by all" --format json',
        'animeverse query "select count(*) from silver.pos_transactions" --as-of 2026-01-31T12:00:00Z',
    )
)
def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(help="One SQL query, in DuckDB's dialect.")],
    how: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = "table",
    as_of: Annotated[
        str | None, typer.Option(help="Bronze and silver as they were at a time, such as 2026-01-31T12:00:00Z.")
    ] = None,
) -> None:
    """Ask all layers as one DuckDB database.

    The schemas are gold, marts, ops, silver and bronze; all is read-only. Wrong SQL: exit code 2.
    """
    from animeverse.query import Session
    from animeverse.repl import show

    with Session(_settings(context), _moment(as_of)) as session:
        show(session.run(sql), how)


def _moment(text: str | None, option: str = "--as-of") -> "datetime | None":
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


@app.command(epilog=_examples("animeverse maintain --dry-run", "animeverse maintain --json"))
def maintain(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, say what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Merge small files, thin out old snapshots, delete files that nothing refers to.

    `run --follow` does the same bit by bit. What a query reads is not changed, but for how far back it can look; and
    where ANIMEVERSE_BRONZE_RETENTION gives an age, old days of bronze go.
    """
    from animeverse.maintaining import print_report, reflected_snapshots
    from animeverse.stopping import stop_on_signals
    from pipelines.maintain import maintain as maintain_all

    settings = _settings(context)
    with stop_on_signals("stopping; what is done is done, the same command goes on from here") as stop:
        pinned = reflected_snapshots(settings)
        found = maintain_all(settings, dry_run=dry_run, pinned=pinned, stopped=stop.is_set)
    _print_json(found.to_dict()) if as_json else print_report(found)


@app.command(
    epilog=_examples(
        "animeverse migrate --to cluster.env",
        "animeverse migrate --to-catalog http://127.0.0.1:8181 --to-lake-root s3://warehouse/lake",
    )
)
def migrate(
    context: typer.Context,
    to: Annotated[Path | None, typer.Option(help="A file of settings, as .env: where to, and its keys.")] = None,
    to_catalog: Annotated[str | None, typer.Option(help="Instead of ANIMEVERSE_CATALOG_URL in the file.")] = None,
    to_lake_root: Annotated[str | None, typer.Option(help="Instead of ANIMEVERSE_LAKE_ROOT in the file.")] = None,
    as_json: Json = False,
) -> None:
    """Copy all tables to another store and catalog, where `run` then goes on.

    Every table is compared row by row before the new catalog is told of it. The source is only read. Interrupted, it
    is repeated. The log stays what it is.
    """
    from datetime import UTC, datetime

    from animeverse.console import say
    from animeverse.migrating import print_report
    from animeverse.stopping import stop_on_signals
    from pipelines.migrate import migrate as migrate_all
    from pipelines.settings_target import target_settings

    settings = _settings(context)
    target = target_settings(context.obj, to, to_catalog, to_lake_root)
    with stop_on_signals("stopping; the same command goes on from here", exit_code=1) as stop:
        found = migrate_all(settings, target, lambda: datetime.now(UTC), say=say, stopped=stop.is_set)
    _print_json(found.to_dict()) if as_json else print_report(found, target)


@app.command(
    epilog=_examples(
        "animeverse rebuild gold", "animeverse rebuild gold --as-of 2026-11-14T18:00:00Z --into saturday.duckdb"
    )
)
def rebuild(
    context: typer.Context,
    layer: Annotated[Literal["gold"], typer.Argument(help="Which layer.")],
    into: Annotated[Path | None, typer.Option(help="Build into this new file and leave gold alone.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Only what had arrived in the log by then (needs --into).")] = None,
) -> None:
    """Build gold from nothing: in place, or as it was known at a moment into a file of its own.

    Every row and key is the same as before. Readers keep the published file until the new one is there.
    """
    from animeverse import rebuilding, running
    from animeverse.stopping import stop_on_signals
    from pipelines.errors import UsageError

    settings, moment = _settings(context), _moment(as_of)
    if into is None and moment is not None:
        raise UsageError("--as-of needs --into FILE: gold itself always reflects all that has arrived")
    if into is not None:
        done = rebuilding.into(settings, into, moment)
        print(f"{into}: {sum(done.rows_changed.values()):,} rows in {done.seconds['total']:.1f} s")  # noqa: T201
        return
    with stop_on_signals("stopping; the published file stays as it is, the next run builds gold") as stop:
        running.print_report(*rebuilding.in_place(settings, stop))


@app.command(
    epilog=_examples(
        "animeverse export daily_summary --to daily.parquet",
        "animeverse export demand_forecast_features --cutoff 2026-11-01 --horizon 7 --to demand.parquet",
    )
)
def export(
    context: typer.Context,
    mart: Annotated[str, typer.Argument(help="A mart, or a learning data set.")],
    to: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    cutoff: Annotated[str | None, typer.Option(help="Of a learning data set: nothing after it is known.")] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days ahead: of a forecast (7) or of labels (90, 28).")
    ] = None,
) -> None:
    """Write a mart to a Parquet file; prints the number of rows."""
    from animeverse.exporting import export as write

    print(write(_settings(context), mart, to, cutoff=_moment(cutoff, "--cutoff"), horizon=horizon))  # noqa: T201


@app.command(epilog=_examples("animeverse sql", "animeverse sql --format csv < report.sql > report.csv"))
def sql(
    context: typer.Context,
    how: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = "table",
) -> None:
    """Type SQL line by line, over the same database.

    With history and the arrow keys; statements from a pipe are read, too, up to the first that fails.
    """
    from animeverse.repl import run as run_shell

    run_shell(_settings(context), how)


@app.command(
    epilog=_examples(
        "animeverse contracts --topic pos-transactions", "animeverse contracts --format json-schema > contracts.json"
    )
)
def contracts(
    context: typer.Context,
    topic: Annotated[str | None, typer.Option(help="Only this topic's.")] = None,
    how: Annotated[Literal["table", "json-schema"], typer.Option("--format", help="For people or programs.")] = "table",
) -> None:
    """Show what an event of each topic must look like."""
    from animeverse.state import print_contract
    from pipelines.contract_docs import json_schema
    from pipelines.contracts import CONTRACTS

    chosen = [CONTRACTS[name] for name in _topics([topic] if topic else [])]
    currency = _settings(context).currency
    if how == "json-schema":
        schemas = {contract.topic: json_schema(contract, currency) for contract in chosen}
        _print_json(schemas[topic] if topic else schemas)
    else:
        for contract in chosen:
            print_contract(contract, currency)


@app.command(
    epilog=_examples("animeverse trace 8f3c-000017", "animeverse trace C42-5 --topic customer-profiles --json")
)
def trace(
    context: typer.Context,
    event_id: Annotated[str, typer.Argument(help="The event's id.")],
    topic: Annotated[str | None, typer.Option(help="Look only here.")] = None,
    as_json: Json = False,
) -> None:
    """Follow one event from the log to gold.

    Every record that carried the id, with what became of it and why. Exit code 1 when there is none.
    """
    from animeverse import console, tracing
    from pipelines.trace import trace as find

    settings = _settings(context)
    found = find(settings, event_id, _topics([topic] if topic else []))
    gold = tracing.gold_rows(settings, found)
    _print_json(tracing.as_json(found, gold)) if as_json else tracing.print_trace(found, gold)
    if not found.records:
        console.say(f"no record carries the event_id {event_id}; {tracing.UNSEEN}")
    raise typer.Exit(0 if found.records else 1)


quarantine = typer.Typer(
    help="Look at quarantined records, and send them again.",
    epilog=_examples(
        "animeverse quarantine list",
        "animeverse quarantine show --reason too_late --limit 5",
        "animeverse quarantine release --topic pos-transactions --reason too_late --dry-run",
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(quarantine, name="quarantine")

Reasons = Annotated[
    list[str] | None, typer.Option("--reason", "--rule", help="Only this rule's, such as too_late; several: any.")
]
Offsets = Annotated[
    list[str] | None, typer.Option("--offset", help="PARTITION/OFFSET, such as 2/1017; may be given several times.")
]
Since = Annotated[str | None, typer.Option(help="Only records from this date or time on, UTC unless it says so.")]
Until = Annotated[str | None, typer.Option(help="Only records before this date or time.")]
OneTopic = Annotated[str | None, typer.Option(help="Only this topic's.")]


def _wanted(
    topic: str | None, reason: list[str] | None, offset: list[str] | None, since: str | None, until: str | None
) -> Any:
    from pipelines.quarantine import Wanted, parse_moment, parse_place

    return Wanted(
        topic=_topics([topic])[0] if topic is not None else None,
        reasons=frozenset(reason or ()),
        places=frozenset(map(parse_place, offset or ())),
        since=parse_moment("--since", since),
        until=parse_moment("--until", until),
    )


@quarantine.command(
    "list",
    epilog=_examples(
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
    from animeverse import quarantining
    from pipelines.quarantine import count_by_rule
    from pipelines.status import open_lakehouse

    wanted = _wanted(topic, reason, offset, since, until)
    lake = open_lakehouse(_settings(context))
    try:
        rules = count_by_rule(lake, wanted)
    finally:
        lake.close()
    _print_json(quarantining.rules_as_json(rules)) if as_json else quarantining.print_rules(rules)


@quarantine.command(
    "show",
    epilog=_examples(
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
    from animeverse import quarantining
    from pipelines.quarantine import whole_records
    from pipelines.status import open_lakehouse

    wanted = _wanted(topic, reason, offset, since, until)
    lake = open_lakehouse(_settings(context))
    try:
        records, count = whole_records(lake, wanted, limit)
    finally:
        lake.close()
    if as_json:
        _print_json(quarantining.records_as_json(records))
    else:
        quarantining.print_records(records, count)


@quarantine.command(
    "release",
    epilog=_examples(
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
    from animeverse import console, quarantining
    from pipelines.bronze import utc_now
    from pipelines.fixes import load_fix

    settings, wanted = _settings(context), _wanted(topic, reason, offset, since, until)
    chosen = load_fix(fix) if fix is not None else None
    if dry_run:
        from pipelines.rehearsal import rehearse

        found = rehearse(settings, wanted, chosen, utc_now())
        _print_json(found.to_dict()) if as_json else quarantining.print_rehearsal(found)
    else:
        from pipelines.release import release

        done = release(settings, wanted, chosen, console.say)
        _print_json(done.to_dict()) if as_json else quarantining.print_released(done)


def _topics(names: list[str]) -> list[str]:
    """The topics named, or all. Raises UsageError with the nearest right name."""
    import difflib

    from pipelines.contracts import TOPICS
    from pipelines.errors import UsageError

    for name in names:
        if name not in TOPICS:
            near = difflib.get_close_matches(name, TOPICS, n=1, cutoff=0.3)
            raise UsageError(f"{name} is no topic: " + (f"did you mean {near[0]}?" if near else ", ".join(TOPICS)))
    return names or list(TOPICS)
