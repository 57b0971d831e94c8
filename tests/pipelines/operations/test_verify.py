"""A deviation between log, tables and ledger fails the check that names it."""

from contextlib import closing
from pathlib import Path

import pytest

from pipelines.config.settings import Settings, load_settings
from pipelines.lake.catalog import Lake
from pipelines.operations.verify import verify
from tests.pipelines.small_home import TOPIC, movement, run_layers, send


@pytest.fixture
def settings(tmp_path: Path, without_settings: None) -> Settings:
    """Two accepted events, one duplicate, one quarantined record."""
    home = tmp_path / "home"
    send(home, [movement(0), movement(1), movement(0), b"no json"])
    run_layers(home)
    return load_settings(home=home)


def failed(settings: Settings) -> dict[str, str]:
    return {check.name.removeprefix(f"{TOPIC}: "): check.detail for check in verify(settings) if not check.ok}


def test_all_checks_of_an_undisturbed_lakehouse_hold(settings: Settings) -> None:
    checks = {check.name: check for check in verify(settings)}
    assert all(check.ok for check in checks.values())
    detail = checks[f"{TOPIC}: the conservation law"].detail
    assert detail == "4 bronze = 2 accepted + 1 duplicates + 1 quarantined"


def test_a_lost_accepted_event_breaks_the_conservation_law_and_is_named(settings: Settings) -> None:
    with closing(Lake.open(settings)) as lake:
        silver = lake.table("silver.inventory_updates")
        silver.iceberg.overwrite(silver.read().slice(1))
    found = failed(settings)
    assert " off, at partition/offset 1/" in found["the conservation law"]
    assert "the ledger equals the recount" in found


def test_a_record_that_bronze_lost_is_named_by_its_offset(settings: Settings) -> None:
    with closing(Lake.open(settings)) as lake:
        bronze = lake.table("bronze.inventory_updates")
        bronze.iceberg.overwrite(bronze.read().slice(1))
    found = failed(settings)
    assert found["the log's records = bronze's"].startswith("1 off, at partition/offset 1/0")
    assert "silver and quarantine hold nothing that bronze does not" in found


def test_with_a_missing_data_file_only_the_files_are_checked(settings: Settings) -> None:
    with closing(Lake.open(settings)) as lake:
        path = lake.table("silver.inventory_updates").file_paths()[0]
    Path(path.removeprefix("file://")).unlink()
    found = failed(settings)
    assert list(found) == ["silver.inventory_updates: files"]
    assert found["silver.inventory_updates: files"].startswith("missing: ")


def test_an_unreachable_log_fails_the_check_of_each_topic(settings: Settings) -> None:
    assert settings.log_path is not None
    settings.log_path.unlink()
    assert "there is no log at" in failed(settings)["the log's records = bronze's"]
