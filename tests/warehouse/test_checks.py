"""The checks that headers imply: they hold on a rebuilt warehouse and find every injected violation."""

from collections.abc import Iterator
from datetime import timedelta

import duckdb
import pytest

from tests.warehouse.silver_world import NOW, START, changes_of, random_silver
from warehouse.checks import checks_of, generated_checks
from warehouse.registry import Model, of_kind, registry
from warehouse.writer import Warehouse

MODELS = {model.name: model for model in registry() if model.schema == "gold"}
COUNTS = {"members": 2, "history": 5, "fact": 3, "days": 2}  # without the checks of member keys


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse whose days are all open, for changes that are rolled back."""
    warehouse = Warehouse(tmp_path_factory.mktemp("checks") / "gold", max_open_rows=1 << 40)
    warehouse.refresh(changes_of(random_silver(2, 150), START + timedelta(days=50)), NOW)
    warehouse.close()
    with duckdb.connect(str(warehouse.published)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def violated(gold: duckdb.DuckDBPyConnection, model: Model, damage: str = "") -> list[str]:
    """The claims of a model's generated checks that do not hold after the damage, which is rolled back."""
    gold.execute("begin")
    try:
        if damage:
            gold.execute(damage)
        return [
            check.claim
            for check in generated_checks(model)
            if gold.execute(f"select count(*) from ({check.over_whole_tables()})").fetchall() != [(0,)]
        ]
    finally:
        gold.execute("rollback")


@pytest.mark.parametrize("name", MODELS)
def test_generated_checks_hold_on_a_rebuilt_warehouse(name: str, gold: duckdb.DuckDBPyConnection) -> None:
    assert violated(gold, MODELS[name]) == []


def test_every_dimension_and_fact_has_the_checks_that_its_header_implies() -> None:
    for model in of_kind(*COUNTS):
        by_day = model.kind == "history" and "scope" in model.header
        expected = COUNTS[model.kind] + len(model.members) - 2 * by_day if model.schema == "gold" else 0
        assert len(generated_checks(model)) == expected, model.full_name
        assert checks_of(model)[:expected] == generated_checks(model)


def test_a_view_has_no_generated_checks() -> None:
    assert generated_checks(MODELS["customer_current"]) == ()


FACT_KEYS = [
    (model.name, column)
    for model in of_kind("fact", "days")
    if model.schema == "gold"
    for column in model.columns
    if column.endswith("_key")
]


@pytest.mark.parametrize(("name", "column"), FACT_KEYS)
def test_a_key_that_is_null_is_found(name: str, column: str, gold: duckdb.DuckDBPyConnection) -> None:
    assert "no key is null" in violated(gold, MODELS[name], f"update work.{name} set {column} = null where rowid = 0")


@pytest.mark.parametrize("name", [model.name for model in of_kind("fact", "days") if model.schema == "gold"])
def test_a_duplicate_row_is_found(name: str, gold: duckdb.DuckDBPyConnection) -> None:
    found = violated(gold, MODELS[name], f"insert into work.{name} from work.{name} where rowid = 0")
    assert [claim for claim in found if claim.startswith("the grain is unique")]


@pytest.mark.parametrize("name", [model.name for model in of_kind("fact")])
def test_an_event_id_with_two_event_times_is_a_warning(name: str, gold: duckdb.DuckDBPyConnection) -> None:
    again = f"select * replace (event_time + interval 1 microsecond as event_time) from work.{name} where rowid = 0"
    claim = "an event_id does not occur again beyond the deduplication horizon"
    assert claim in violated(gold, MODELS[name], f"insert into work.{name} {again}")
    assert [check.action for check in generated_checks(MODELS[name]) if check.claim == claim] == ["warn"]


MEMBERS = [(model.name, member.key) for model in of_kind("fact") for member in model.members]


@pytest.mark.parametrize(("name", "key"), MEMBERS)
@pytest.mark.parametrize("damage", ["unknown key", "another member", "before the version", "special row"])
def test_a_key_of_another_version_is_found(name: str, key: str, damage: str, gold: duckdb.DuckDBPyConnection) -> None:
    (member,) = (member for member in MODELS[name].members if member.key == key)
    row = f"rowid = (select min(rowid) from work.{name} where {key} > 0)"
    sql = {
        "unknown key": f"update work.{name} set {key} = 1 where {row}",
        "another member": f"update work.{name} set {member.id_column} = 'somebody else' where {row}",
        "before the version": f"update gold.{member.dimension} set valid_from = '9999-01-01' where {key} > 0",
        "special row": f"update work.{name} set {key} = -1 where {row}",
    }[damage]
    claim = f"{key} is the version of {member.id_column} valid at event_time"
    assert claim in violated(gold, MODELS[name], sql)


@pytest.mark.parametrize("name", [model.name for model in of_kind("members")])
def test_a_duplicate_member_or_key_or_a_missing_special_row_is_found(
    name: str, gold: duckdb.DuckDBPyConnection
) -> None:
    model, table = MODELS[name], f"gold.{name}"
    key = model.header["key"].partition(": ")[0]
    one_row = f"a {model.header['grain']} has one row, and a {key} one member"
    normal = f"from {table} where {key} >= 0 limit 1"
    assert violated(gold, model, f"insert into {table} {normal}") == [one_row]
    assert violated(gold, model, f"insert into {table} select * replace (123456789 as {key}) {normal}") == [one_row]
    assert violated(gold, model, f"delete from {table} where {key} = -2") == ["the special rows -1 and -2 exist"]


HISTORIES = [model.name for model in of_kind("history")]
OPEN = "valid_to is null and not is_inferred"


@pytest.mark.parametrize("name", HISTORIES)
@pytest.mark.parametrize(
    ("damage", "claim"),
    [
        ("insert into {table} from {table} where rowid = {row}", "has its own"),
        ("update {table} set {key} = 7 where {key} > 0", "has one version"),
        ("update {table} set is_current = false where rowid = {row}", "a member has one current version"),
    ],
)
def test_a_duplicate_version_or_key_or_a_missing_current_version_is_found(
    name: str, damage: str, claim: str, gold: duckdb.DuckDBPyConnection
) -> None:
    model = MODELS[name]
    key = model.header["key"].partition(": ")[0]
    table = f"work.{name}" if "split" in model.header else f"gold.{name}"
    row = f"(select min(rowid) from {table} where {key} > 0 and is_current)"
    assert any(claim in one for one in violated(gold, model, damage.format(table=table, key=key, row=row)))


@pytest.mark.parametrize("name", [name for name in HISTORIES if "scope" not in MODELS[name].header])
@pytest.mark.parametrize(
    ("damage", "claim"),
    [
        ("valid_to = valid_from", "versions do not overlap"),
        ("effective_to = '9999-01-01'", "versions do not overlap"),
        ("version = version + 1", "versions count from 1"),
        ("is_inferred = not is_inferred", "versions count from 1"),
        ("valid_to = '9999-01-01'", "the current version is open"),
    ],
)
def test_versions_that_overlap_or_are_not_numbered_are_found(
    name: str, damage: str, claim: str, gold: duckdb.DuckDBPyConnection
) -> None:
    model = MODELS[name]
    key = model.header["key"].partition(": ")[0]
    row = f"rowid = (select min(rowid) from gold.{name} where {key} > 0 and is_current)"
    assert any(claim in one for one in violated(gold, model, f"update gold.{name} set {damage} where {row}"))
