"""A new topic touches its contract and its models only: no list of topics exists elsewhere.

Each test copies the packages, adds a topic to the copy and runs the product on it in subprocesses. A failure lists
every step that does not work for the new topic.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.sources import PREFIX
from tests.promises.new_topics import NEW_TOPICS, ROOT, NewTopic

PACKAGES = ("animeverse", "pipelines", "producers", "warehouse")


def insert_before(path: Path, anchor: str, text: str) -> None:
    """Insert `text` before the only occurrence of `anchor`."""
    source = path.read_text(encoding="utf-8")
    assert source.count(anchor) == 1, f"{path.name}: expected {anchor!r} once, found {source.count(anchor)} times"
    path.write_text(source.replace(anchor, text + anchor), encoding="utf-8")


def add_topic(tree: Path, new: NewTopic) -> None:
    """Add the contract, its registration and the models: all that a new topic should need."""
    contracts = tree / "pipelines" / "contracts"
    (contracts / "topics" / f"{new.module}.py").write_text(new.contract, encoding="utf-8")
    insert_before(contracts / "registry.py", "    product_catalog,\n)", f"    {new.module},\n")
    insert_before(contracts / "registry.py", "    )\n}\n", f"        {new.module}.CONTRACT,\n")
    for path, sql in new.models.items():
        (tree / "warehouse" / path).write_text(sql, encoding="utf-8")


class Product:
    """The changed copy of the product, with one home."""

    def __init__(self, tree: Path, home: Path) -> None:
        self._home = home
        clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self._environment = {**clean, "PYTHONPATH": str(tree)}

    def python(self, *words: str) -> str:
        """Run a Python module of the copy and return its output."""
        done = subprocess.run(
            [sys.executable, "-m", *words],
            env=self._environment, cwd=self._home.parent, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        if done.returncode:
            last_lines = "\n".join((done.stderr + done.stdout).strip().splitlines()[-8:])
            raise AssertionError(f"{' '.join(words)} exited with {done.returncode}:\n{last_lines}")
        return done.stdout

    def run(self, *words: str) -> str:
        """Run an animeverse command and return its output."""
        return self.python("animeverse", "--home", str(self._home), *words)

    def json(self, *words: str) -> Any:
        """Run an animeverse command and return its JSON output."""
        return json.loads(self.run(*words, "--json"))

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        rows: list[dict[str, Any]] = json.loads(self.run("query", sql, "--format", "json"))
        return rows


def _silver_has_the_rows(product: Product, new: NewTopic) -> None:
    for table, rows in new.silver.items():
        assert product.query(f"select count(*) as rows from {table}") == [{"rows": rows}], table
    (counts,) = product.query(
        "select sum(accepted_on_time + accepted_late) as accepted, sum(duplicates) as duplicates,"
        f" sum(quarantined) as quarantined from ops.batches where topic = '{new.topic}'"
    )
    assert counts == {"accepted": new.accepted, "duplicates": 1, "quarantined": 1}


def _gold_has_the_numbers(product: Product, new: NewTopic) -> None:
    assert product.query(new.query) == [new.expected]


def _watermark_follows_the_kind_of_topic(product: Product, new: NewTopic) -> None:
    found = product.query(f"select is_business from ops.topic_watermarks where topic = '{new.topic}'")
    assert found == [{"is_business": not new.is_master}]


def _status_shows_it(product: Product, new: NewTopic) -> None:
    assert product.json("status")["topics"][new.topic]


def _every_proof_holds(product: Product, new: NewTopic) -> None:
    checks = product.json("verify")
    assert [check for check in checks if not check["ok"]] == []
    assert any(new.topic in check["name"] for check in checks)
    if not new.is_master:
        assert any(new.table in check["name"] for check in checks), f"no check compares {new.table} with silver"
    assert [check for check in product.json("verify", "--rebuild") if not check["ok"]] == []
    assert product.json("reconcile")


def _an_event_is_traced_into_gold(product: Product, new: NewTopic) -> None:
    event_id = json.loads(new.values[0])["event_id"]
    text = product.run("trace", event_id)
    assert new.table in text, text


def _the_quarantined_record_is_listed(product: Product, new: NewTopic) -> None:
    assert "invalid_json" in product.run("quarantine", "list", "--topic", new.topic)


def _the_contract_and_the_columns_are_documented(product: Product, new: NewTopic) -> None:
    assert new.key_field in product.run("contracts", "--topic", new.topic)
    dictionary = product.python("warehouse.data_dictionary")
    assert [table for table in (*new.silver, new.table) if f"### {table}" not in dictionary] == []


STEPS: tuple[Callable[[Product, NewTopic], None], ...] = (
    _silver_has_the_rows,
    _gold_has_the_numbers,
    _watermark_follows_the_kind_of_topic,
    _status_shows_it,
    _every_proof_holds,
    _an_event_is_traced_into_gold,
    _the_quarantined_record_is_listed,
    _the_contract_and_the_columns_are_documented,
)


@pytest.fixture(params=NEW_TOPICS, ids=lambda new: new.topic)
def new(request: pytest.FixtureRequest) -> NewTopic:
    """A topic to add."""
    topic: NewTopic = request.param
    return topic


@pytest.fixture
def product(new: NewTopic, tmp_path: Path) -> Product:
    """A copy of the product with the topic added."""
    tree = tmp_path / "tree"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    add_topic(tree, new)
    return Product(tree, tmp_path / "home")


@pytest.mark.slow
def test_a_new_topic_needs_only_its_contract_and_its_models(product: Product, new: NewTopic, tmp_path: Path) -> None:
    events = tmp_path / "events.ndjson"
    events.write_bytes(b"\n".join(new.values))
    product.run("produce", "--events", "300", "--days", "2", "--seed", "1", "--start", "2026-03-02")
    product.run("produce", "--topic", new.topic, "--file", str(events), "--timestamps", "event_time")
    product.run("run", "all", "--once")
    failed = []
    for step in STEPS:
        try:
            step(product, new)
        except (AssertionError, KeyError) as error:
            failed.append(f"{step.__name__.strip('_')}: {error!s}")
    assert not failed, "\n\n".join(failed)


@pytest.mark.slow
@pytest.mark.parametrize("new", NEW_TOPICS[:1], indirect=True, ids=lambda new: new.topic)
def test_live_events_leave_out_a_topic_without_a_generator(product: Product, new: NewTopic) -> None:
    product.run("produce", "--count", "50", "--seed", "1")
    product.run("run", "bronze", "--once")
    assert product.query(f"select count(*) as rows from bronze.{new.topic.replace('-', '_')}") == [{"rows": 0}]
