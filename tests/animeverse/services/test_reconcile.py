"""The changed days in `animeverse reconcile`."""

from datetime import date
from typing import Any

import duckdb
import pytest

from animeverse.services.reconcile import Reconciliation, reconcile
from animeverse.terminal.reconcile import print_reconciliation
from pipelines.config.settings import Settings

_ROW = (
    "refresh_id bigint, date date, kpi varchar, cause varchar, value_before decimal(38, 4), value_after decimal(38, 4),"
    " delta decimal(38, 4), event_count bigint, was_final boolean"
)


@pytest.fixture(autouse=True)
def no_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts of records are tested in tests/pipelines/operations/test_reconcile.py."""
    monkeypatch.setattr("animeverse.services.reconcile.count_topics", lambda _: [])


def restated(settings: Settings, *rows: tuple[Any, ...]) -> Reconciliation:
    with duckdb.connect(str(settings.published_path)) as connection:
        connection.execute(f"create table ops.restatements ({_ROW})")
        for row in rows:
            connection.execute("insert into ops.restatements values ($1, $2, $3, $4, $5, $6, $7, $8, $9)", row)
    return reconcile(settings)


def printed(reconciliation: Reconciliation, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_reconciliation(reconciliation)
    lines = capsys.readouterr().out.splitlines()
    return lines[lines.index("log = bronze = on time + late + duplicates + quarantined") + 1 :]


def test_a_day_without_changed_net_sales_or_admissions_lists_other_kpis(
    published: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    day = date(2026, 11, 19)
    reconciliation = restated(
        published,
        (2, day, "units", "late", 0, 3, 3, 1, False),
        (2, day, "orders", "late", 0, 1, 1, 1, False),
        (2, date(2026, 11, 20), "units", "late", 5, 4, -1, 2, True),
        (2, date(2026, 11, 20), "net_sales_amount", "late", "50.00", "40.00", "-10.00", 2, True),
    )
    assert printed(reconciliation, capsys) == [
        "",
        "What late data changed (the last 2 of 2 days)",
        "Thursday 19 November 2026: orders 0 → 1 from 1 late event",
        "Thursday 19 November 2026: units 0 → 3 from 1 late event",
        "Friday 20 November 2026: net sales 50.00 → 40.00 (-20.0 %) from 2 late events, though the day was final",
    ]


def test_other_changes_of_ended_days_are_listed_with_their_cause(
    published: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    day = date(2026, 11, 13)
    reconciliation = restated(
        published,
        (2, day, "net_sales_amount", "on_time", 0, 28, 28, 1, True),
        (3, day, "gross_margin_amount", "master_data", 20, 18, -2, 0, False),
        (4, day, "gross_margin_amount", "master_data", 18, 17, -1, 0, False),
    )
    assert printed(reconciliation, capsys) == [
        "",
        "no late event changed a day",
        "",
        "What else changed days that had ended (the last 1 of 1 days)",
        "Friday 13 November 2026: gross margin 20.00 → 17.00 (-15.0 %) from changes of master data",
        "Friday 13 November 2026: net sales 0.00 → 28.00 from 1 event of a partition that had been idle,"
        " though the day was final",
    ]
    (first, _) = reconciliation.to_dict()["other"]
    assert first["cause"] == "master_data"
    assert (first["before"], first["after"]) == ("20.0000", "17.0000")
    assert reconciliation.to_dict()["late"] == []
