import shutil
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from animeverse.services.query import Session
from pipelines.config.settings import Settings
from pipelines.contracts.tables import RULE_COUNTS
from pipelines.errors import NoLakehouseError, UsageError
from pipelines.lake.catalog import Lake


def _rows(session: Session, sql: str) -> list[tuple[object, ...]]:
    return list(session.run(sql).rows)


def test_all_layers_are_one_database(published: Settings) -> None:
    with Session(published) as session:
        assert _rows(session, "select sum(share) from gold.numbers") == [(Decimal("1.0000"),)]
        assert _rows(session, "from marts.totals") == [(3,)]
        assert _rows(session, "from marts.below(2)") == [(0,), (1,)]
        assert _rows(session, "select refresh_id from ops.refreshes") == [(1,)]
        assert _rows(session, "select count(*) from ops.batches") == [(0,)]
        assert _rows(session, 'select count(*) from bronze.pos_transactions, SILVER."pos_items", gold.numbers') == [
            (0,)
        ]
        assert _rows(session, "select count(*) from pos_items") == [(0,)]
        assert _rows(session, "with t as (select 1 as one from silver.pos_items) select count(*) from t") == [(0,)]


def test_rule_counts_include_the_rules_of_gold(published: Settings) -> None:
    lake = Lake.open(published)
    counts = {"batch_id": [1], "topic": ["a"], "rule": ["store_missing"], "action": ["warn"], "rows": [2]}
    lake.ensure("ops.rule_counts", RULE_COUNTS).append(pa.table(counts, schema=RULE_COUNTS), {})
    lake.close()
    with duckdb.connect(str(published.published_path)) as connection:
        connection.execute(
            "create view ops.gold_rule_counts as from (values ('a', 'unmatched_return', 'warn', 3),"
            " ('b', 'over_cancelled', 'warn', 0)) as counts (topic, rule, action, rows)"
        )
    with Session(published) as session:
        assert _rows(session, "select batch_id, rule, rows from ops.rule_counts order by rows") == [
            (1, "store_missing", 2),
            (None, "unmatched_return", 3),
        ]


def test_columns_keep_their_names_and_types(published: Settings) -> None:
    with Session(published) as session:
        result = session.run("select share, n as other from gold.numbers limit 0")
        assert (result.names, result.types) == (["share", "other"], ["DECIMAL(18,4)", "BIGINT"])


def test_a_query_of_gold_does_not_open_the_catalog(published: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lake, "open", lambda _settings: pytest.fail("the catalog is opened"))
    with Session(published) as session:
        assert _rows(session, "select count(*) from gold.numbers join ops.refreshes on true") == [(3,)]


def test_times_are_in_utc(published: Settings) -> None:
    with Session(published) as session:
        assert _rows(session, "select refreshed_at::varchar from ops.refreshes") == [("2025-12-31 23:00:00+00",)]


def test_tables_and_columns_can_be_listed(published: Settings) -> None:
    with Session(published) as session:
        assert ("silver", "pos_items") in session.tables()
        assert ("gold", "numbers") in session.tables()
        assert ("ops", "refreshes") in session.tables()
        listed = {(row[1], row[2]) for row in _rows(session, "show all tables")}
        assert {("gold", "numbers"), ("bronze", "pos_transactions"), ("ops", "batches")} <= listed
        assert {row[0] for row in _rows(session, "describe silver.pos_items")} >= {"partition", "offset", "value"}


@pytest.mark.parametrize(
    "sql",
    [
        "create table x as select 1",
        "create table gold.x as select 1",
        "insert into gold.numbers values (1, 2)",
        "delete from gold.numbers",
        "drop table gold.numbers",
        "copy (select 1) to 'stolen.csv'",
        "explain analyze copy (select 1) to 'stolen.csv'",
        "export database 'stolen'",
        "attach 'other.duckdb'",
        "install httpfs",
        "load httpfs",
        "set timezone = 'Europe/Vienna'",
        "pragma database_list",
        "call checkpoint()",
        "checkpoint lakehouse",
        "with x as (insert into gold.numbers values (1, 2) returning *) from x",
        "prepare p as select 1",
        "select 1; select 2",
        "",
        "select nonsense from gold.numbers",
        "selec 1",
        "from silver.no_such_table",
    ],
)
def test_statements_other_than_queries_are_rejected_and_change_nothing(sql: str, published: Settings) -> None:
    before = published.published_path.read_bytes()
    files = sorted(Path().iterdir())
    with Session(published) as session:
        with pytest.raises(UsageError):
            list(session.run(sql).rows)
        assert _rows(session, "select count(*) from gold.numbers") == [(3,)]
    assert published.published_path.read_bytes() == before
    assert sorted(Path().iterdir()) == files


def test_explain_and_pivot_are_queries(published: Settings) -> None:
    with Session(published) as session:
        assert _rows(session, "explain from gold.numbers")
        assert _rows(session, "explain analyze select 1")
        assert _rows(session, "pivot gold.numbers on n using sum(share)")


def test_an_error_while_reading_rows_is_a_usage_error(published: Settings) -> None:
    with Session(published) as session, pytest.raises(UsageError):
        list(session.run("select case when n = 2 then error('late') end from gold.numbers").rows)


def test_a_missing_lakehouse_is_an_error_that_suggests_the_demo(settings: Settings) -> None:
    with pytest.raises(NoLakehouseError, match="animeverse demo"):
        Session(settings)
    assert not settings.home.exists()


def test_a_session_keeps_its_publication_and_detects_a_new_one(published: Settings) -> None:
    path = published.published_path
    with Session(published) as session:
        assert not session.is_stale()
        shutil.copy(path, path.with_suffix(".new"))
        with duckdb.connect(str(path.with_suffix(".new"))) as connection:
            connection.execute("delete from gold.numbers")
        path.with_suffix(".new").replace(path)
        assert session.is_stale()
        assert _rows(session, "select count(*) from gold.numbers") == [(3,)]


def test_gold_is_readable_without_bronze_and_bronze_without_gold(published: Settings) -> None:
    shutil.move(published.published_path, published.home / "elsewhere.duckdb")
    with Session(published) as session:
        assert _rows(session, "select count(*) from bronze.pos_transactions") == [(0,)]
    assert published.catalog_path is not None
    published.catalog_path.unlink()
    shutil.move(published.home / "elsewhere.duckdb", published.published_path)
    with Session(published) as session:
        assert _rows(session, "select count(*) from gold.numbers") == [(3,)]
        with pytest.raises(UsageError):
            session.run("from bronze.pos_transactions")


def test_unpublished_gold_is_an_error_that_suggests_a_run(published: Settings) -> None:
    published.published_path.unlink()
    with Session(published) as session:
        assert _rows(session, "select count(*) from silver.pos_items") == [(0,)]
        with pytest.raises(NoLakehouseError, match="animeverse run"):
            session.run("from gold.numbers")
