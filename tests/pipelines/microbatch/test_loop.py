"""The whole loop: layers, batch sizes, ends, stops, gold and ledger."""

import shutil
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.config.settings import load_settings
from pipelines.lake.catalog import Lake
from pipelines.microbatch.loop import run
from pipelines.microbatch.report import LAYERS, Progress, RunReport
from pipelines.operations.verify import verify
from pipelines.silver.ledger import read_ledger
from tests.pipelines.outcome import differences, fill_log
from tests.pipelines.small_home import movement, send
from warehouse.verify import gold_checks
from warehouse.writer import Warehouse

pytestmark = pytest.mark.usefixtures("without_settings")


def run_all(home: Path, batch_size: int = 100_000, patience: float = 0.0) -> RunReport:
    settings = load_settings(home=home, batch_size=batch_size)
    with closing(Warehouse(home / "gold", max_deferral_seconds=patience)) as gold:
        return run(
            settings,
            LAYERS,
            follow=False,
            gold=gold,
            clock=lambda: datetime.now(UTC),
            progress=lambda progress: None,
            stop=threading.Event(),
        )


def failed(home: Path, *, rebuild: bool = False) -> list[str]:
    checks = verify(load_settings(home=home), rebuild=rebuild, gold_checks=gold_checks)
    return [f"{check.name}: {check.detail}" for check in checks if not check.ok]


def test_all_checks_pass_after_a_run_and_after_a_second_run_without_new_records(tmp_path: Path) -> None:
    fill_log(tmp_path, 2_000)
    report = run_all(tmp_path)
    assert report.polled == report.judged > 1_900
    assert failed(tmp_path, rebuild=True) == []
    again = run_all(tmp_path)
    assert (again.polled, again.refreshes) == (0, 0)
    assert failed(tmp_path) == []


@pytest.mark.slow
def test_batches_of_1_7_1000_and_all_give_the_same_silver_and_gold(tmp_path: Path) -> None:
    fill_log(tmp_path / "all", 100, days=1)
    for name in ("1", "7", "1000"):
        (tmp_path / name).mkdir()
        shutil.copy(tmp_path / "all" / "log.db", tmp_path / name)
    run_all(tmp_path / "all")
    for name in ("1", "7", "1000"):
        run_all(tmp_path / name, int(name))
        assert differences(tmp_path / "all", tmp_path / name) == []


@pytest.mark.slow
def test_layers_run_one_after_the_other_give_the_same_silver_and_gold(tmp_path: Path) -> None:
    fill_log(tmp_path / "together", 500)
    (tmp_path / "apart").mkdir()
    shutil.copy(tmp_path / "together" / "log.db", tmp_path / "apart")
    run_all(tmp_path / "together")
    settings = load_settings(home=tmp_path / "apart", batch_size=90)
    for layer in LAYERS:
        with closing(Warehouse(settings.home / "gold")) as gold:
            run(
                settings,
                (layer,),
                follow=False,
                gold=gold,
                clock=lambda: datetime.now(UTC),
                progress=lambda progress: None,
                stop=threading.Event(),
            )
    assert differences(tmp_path / "together", tmp_path / "apart") == []
    assert failed(tmp_path / "apart") == []


def test_a_run_ends_at_the_end_of_the_log_when_it_began_even_if_records_keep_coming(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    send(tmp_path, [movement(number) for number in range(10)])
    sent = iter(range(10, 100))

    def send_one(_progress: Progress) -> None:
        for number in sent:
            send(tmp_path, [movement(number)])
            return
        raise AssertionError("the run does not end while records come")

    report = run(
        settings,
        LAYERS[:2],
        follow=False,
        gold=None,
        clock=lambda: datetime.now(UTC),
        progress=send_one,
        stop=threading.Event(),
    )
    assert report.polled >= 10
    run_all(tmp_path)
    assert failed(tmp_path) == []


@pytest.mark.slow
def test_a_run_completes_at_its_end_what_refreshes_deferred(tmp_path: Path) -> None:
    fill_log(tmp_path, 800)
    assert run_all(tmp_path, 50, patience=3600.0).refreshes > 1
    with closing(Warehouse(tmp_path / "gold", max_deferral_seconds=3600.0)) as gold:
        assert gold.complete_deferred(datetime.now(UTC)) is None
    checks = verify(load_settings(home=tmp_path), rebuild=True, gold_checks=gold_checks)
    assert [check for check in checks if not check.ok or "not compared" in check.detail] == []


@pytest.mark.slow
def test_the_ledger_records_when_readers_saw_a_batch_of_a_catch_up_that_publishes_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.storage.publication_policy.CATCH_UP_ROWS", 1)
    monkeypatch.setattr("warehouse.storage.publication_policy.COPY_SHARE", 1e9)
    fill_log(tmp_path, 800)
    assert run_all(tmp_path, 50).refreshes > 1
    settings = load_settings(home=tmp_path)
    with closing(Lake.open(settings)) as lake:
        seen = sorted(set(read_ledger(lake).column("gold_at").to_pylist()))
    assert len(seen) == 2  # the first refresh, and all others at the end
    assert seen[1].timestamp() >= settings.published_path.stat().st_mtime
    assert failed(tmp_path) == []


def test_the_ledger_records_the_time_of_publication_not_of_the_archiving_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a catch-up that published only its first batch, an idle run publishes, then moves old days to files."""
    monkeypatch.setattr("warehouse.storage.publication_policy.CATCH_UP_ROWS", 1)
    monkeypatch.setattr("warehouse.storage.publication_policy.COPY_SHARE", 1e9)
    fill_log(tmp_path, 200, days=1)
    stop, archived = threading.Event(), []

    class Archiving(Warehouse):
        def archive_closed_days(self) -> bool:
            archived.append(datetime.now(UTC))
            stop.set()
            return False

    with closing(Archiving(tmp_path / "gold", max_deferral_seconds=3600.0)) as gold:
        run(
            load_settings(home=tmp_path, batch_size=50),
            LAYERS,
            follow=True,
            gold=gold,
            clock=lambda: datetime.now(UTC) + timedelta(days=len(archived)),
            progress=lambda progress: None,
            stop=stop,
        )
    with closing(Lake.open(load_settings(home=tmp_path))) as lake:
        seen = read_ledger(lake).column("gold_at").to_pylist()
    assert len(archived) == 1
    assert len(set(seen)) == 2
    assert max(seen) <= archived[0]


def test_a_following_run_ends_when_it_is_stopped_and_loses_nothing(tmp_path: Path) -> None:
    fill_log(tmp_path, 800)
    stop = threading.Event()
    settings = load_settings(home=tmp_path, batch_size=50)
    with closing(Warehouse(tmp_path / "gold")) as gold:
        report = run(
            settings,
            LAYERS,
            follow=True,
            gold=gold,
            clock=lambda: datetime.now(UTC),
            progress=lambda progress: stop.set() if progress.layer == "silver" else None,
            stop=stop,
        )
    assert 0 < report.judged < 800
    run_all(tmp_path)
    assert failed(tmp_path) == []


def test_rounds_are_as_far_apart_as_the_freshness_target_allows(tmp_path: Path) -> None:
    """Thirty records in three seconds: without pacing each would be its own batch. Stopping ends the wait."""
    stop, settings = threading.Event(), load_settings(home=tmp_path, freshness_target="1m")
    send(tmp_path, [movement(0)])

    def trickle() -> None:
        for number in range(1, 30):
            send(tmp_path, [movement(number)])
            stop.wait(0.1)
        stop.set()

    sender = threading.Thread(target=trickle)
    report = run(
        settings,
        ("bronze", "silver"),
        follow=True,
        gold=None,
        clock=lambda: datetime.now(UTC),
        progress=lambda progress: sender.start() if progress.layer == "silver" and sender.ident is None else None,
        stop=stop,
    )
    sender.join()
    assert (report.rounds, report.judged) == (1, 1)
    assert run_all(tmp_path).judged == 29
