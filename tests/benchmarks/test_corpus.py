import threading
from collections import Counter
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from benchmarks.catch_up import fill_sales
from benchmarks.corpus import LEAN, Corpus
from benchmarks.logs import log_of
from benchmarks.score import sales_faults
from benchmarks.table import README, goals_table
from pipelines.clock import utc_now
from pipelines.config.settings import load_settings
from pipelines.microbatch.loop import run
from pipelines.microbatch.report import LAYERS
from tests.empty_warehouse import copy_empty_warehouse
from warehouse.writer import Warehouse

pytestmark = pytest.mark.usefixtures("without_settings")


def test_the_corpus_does_not_depend_on_the_chunk_size() -> None:
    whole, pieces = Corpus(3_000), Corpus(3_000)
    one, many = pa.concat_tables(whole.chunks(10_000)), pa.concat_tables(pieces.chunks(777))
    assert one.equals(many.combine_chunks()) or one.to_pylist() == many.to_pylist()
    assert whole.truth == pieces.truth


def test_the_truth_equals_a_recount_of_the_values() -> None:
    corpus = Corpus(20_000)
    values = pa.concat_tables(corpus.chunks())["value"].to_pylist()
    events = {event["event_id"]: event for event in map(orjson.loads, values)}
    copies = Counter(values)
    assert (len(values), len(events), len(copies)) == (20_000, 19_800, 19_800)
    assert (corpus.truth.records, corpus.truth.events) == (20_000, 19_800)
    assert corpus.truth.lines == sum(len(event["items"]) for event in events.values())
    assert 0.015 < corpus.truth.late / 20_000 < 0.025
    assert 390 < corpus.truth.bytes / 20_000 < 450


def test_lean_events_have_about_256_bytes() -> None:
    corpus = Corpus(1_000, shape=LEAN)
    list(corpus.chunks())
    assert 240 < corpus.truth.bytes / 1_000 < 290


def test_the_score_accepts_the_pipeline_and_rejects_a_wrong_truth(tmp_path: Path) -> None:
    with log_of("embedded", tmp_path) as target:
        _, score_home = fill_sales(target, 2_000)
        settings = load_settings(home=tmp_path / "home", log_url=target.url)
        copy_empty_warehouse(settings.published_path.parent)
        gold = Warehouse(settings.published_path.parent)
        report = run(
            settings, LAYERS, follow=False, gold=gold, clock=utc_now, progress=lambda _: None, stop=threading.Event()
        )
        gold.close()
    truth = Corpus(2_000)
    list(truth.chunks())
    assert score_home(tmp_path / "home") == []
    assert report.topics["pos-transactions"].accepted_late == truth.truth.late
    truth.truth.cents += 1
    truth.truth.checksum += 1
    faults = sales_faults(tmp_path / "home", truth.truth)
    assert [fault.split(":")[0] for fault in faults] == ["silver id checksum", "gold net sales", "net sales by day"]


def test_the_readme_names_every_goal() -> None:
    text = README.read_text()
    for line in goals_table([]).splitlines():
        assert line.split("|")[1] in text
