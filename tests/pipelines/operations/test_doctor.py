"""`doctor` finds faults of the setup, says how to fix them, and leaves nothing behind."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.config.settings import load_settings
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import MIGRATIONS, Lake
from pipelines.operations import doctor as doctor_module
from pipelines.operations.doctor import doctor
from pipelines.operations.doctor_finding import Finding
from pipelines.operations.migrate import MIGRATIONS_SCHEMA
from tests.pipelines.small_home import movement, run_layers, send

pytestmark = pytest.mark.usefixtures("without_settings")
TIME_LIMIT = 15.0  # seconds, with everything down


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a folder without a .env."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def findings_of(home: Path, **variables: str) -> dict[str, Finding]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return {finding.name: finding for finding in doctor(home)}


def run_doctor(home: Path, *options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "animeverse", "--home", str(home), "doctor", *options]
    return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)


def unhealthy(findings: Mapping[str, Finding]) -> dict[str, str]:
    return {name: finding.status for name, finding in findings.items() if finding.status != "ok"}


def test_a_new_home_and_a_used_one_are_fine_and_stay_unchanged(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert unhealthy(findings_of(home)) == {}
    assert not home.exists()
    send(home, [movement(1)])
    run_layers(home)
    before = {path for path in home.rglob("*") if path.suffix not in (".db-shm", ".db-wal")}
    findings = findings_of(home)
    assert unhealthy(findings) == {}
    assert "7 of 7 there" in findings["topics"].detail
    assert {path for path in home.rglob("*") if path.suffix not in (".db-shm", ".db-wal")} == before


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ANIMEVERSE_BATCH_SIZE": "many"}, "ANIMEVERSE_BATCH_SIZE: expected a whole number"),
        ({"ANIMEVERSE_BATCHSIZE": "5"}, "did you mean"),
        ({"ANIMEVERSE_LOG_URL": "http://broker"}, "expected kafka://"),
        ({"ANIMEVERSE_LOG_URL": "kafka://me:hunter22@broker:9092"}, "expected kafka://"),
        ({"ANIMEVERSE_CATALOG_URL": "ftp://x"}, "expected http(s)://"),
        ({"ANIMEVERSE_LAKE_ROOT": "gs://x"}, "s3://bucket"),
        ({"ANIMEVERSE_KAFKA_SASL_PASSWORD": "hunter22"}, "(sasl.password), but ANIMEVERSE_LOG_URL"),
        ({"ANIMEVERSE_CATALOG_TOKEN": "hunter22"}, "(token), but ANIMEVERSE_CATALOG_URL"),
        ({"ANIMEVERSE_ALLOWED_LATENESS": "1m"}, "at least"),
        ({"ANIMEVERSE_HOME_DIR": "x"}, "unknown setting"),
    ],
)
def test_an_invalid_setting_is_named(variables: dict[str, str], expected: str, tmp_path: Path) -> None:
    findings = findings_of(tmp_path / "home", **variables)
    assert unhealthy(findings) == {"settings": "fail"}
    assert expected in findings["settings"].detail
    assert "hunter22" not in str(findings)


def test_a_file_instead_of_a_folder_or_database_is_found(tmp_path: Path) -> None:
    file, foreign = tmp_path / "file", tmp_path / "foreign.db"
    file.write_text("hello")
    with sqlite3.connect(foreign) as connection:
        connection.execute("create table t (x)")
    assert unhealthy(findings_of(file)) == {"home": "fail", "log": "fail", "catalog": "fail", "store": "fail"}
    home = tmp_path / "home"
    for url in (f"sqlite:///{file}", f"sqlite:///{foreign}"):
        assert unhealthy(findings_of(home, ANIMEVERSE_CATALOG_URL=url)) == {"catalog": "fail"}
        assert unhealthy(findings_of(home, ANIMEVERSE_LOG_URL=url)) == {"log": "fail"}
    assert unhealthy(findings_of(home, ANIMEVERSE_LAKE_ROOT=str(file))) == {"store": "fail"}
    assert file.read_text() == "hello"
    with sqlite3.connect(foreign) as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == [("t",)]


def test_a_running_writer_and_an_unfinished_migration_are_found(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with home_lock(home):
        findings = findings_of(home)
    assert unhealthy(findings) == {"writer": "warn"}
    assert str(os.getpid()) in findings["writer"].detail
    lake = Lake.open(load_settings(home=home))
    lake.ensure(MIGRATIONS, MIGRATIONS_SCHEMA)
    lake.close()
    findings = findings_of(home)
    assert unhealthy(findings) == {"catalog": "fail"}
    assert "animeverse migrate" in findings["catalog"].fix


def test_a_full_disk_and_wrong_package_versions_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free, real = 10**9, metadata.version
    monkeypatch.setattr(doctor_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    def version(name: str) -> str:
        if name == "rich":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "duckdb" else real(name)

    monkeypatch.setattr(doctor_module.metadata, "version", version)
    findings = findings_of(tmp_path)
    assert unhealthy(findings) == {"packages": "fail", "disk": "warn"}
    assert findings["packages"].detail == "duckdb is 0.1, expected ==2.0.0; rich is missing"
    free = 10**6
    monkeypatch.setattr(doctor_module.sys, "version_info", (3, 10, 1))
    assert unhealthy(findings_of(tmp_path)) == {"python": "fail", "packages": "fail", "disk": "fail"}


DOWN = {
    "ANIMEVERSE_LOG_URL": "kafka://127.0.0.1:9",
    "ANIMEVERSE_KAFKA_SASL_PASSWORD": "hunter22",
    "ANIMEVERSE_CATALOG_URL": "http://127.0.0.1:9",
    "ANIMEVERSE_CATALOG_TOKEN": "hunter33",
    "ANIMEVERSE_LAKE_ROOT": "s3://warehouse/lake",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "hunter44",
    "AWS_SECRET_ACCESS_KEY": "hunter55",
}


def test_with_everything_down_it_ends_in_time_and_prints_no_secret(tmp_path: Path) -> None:
    began = time.monotonic()
    done = run_doctor(tmp_path / "home", "--json", **DOWN)
    duration = time.monotonic() - began
    assert done.returncode == 1
    findings: list[dict[str, Any]] = json.loads(done.stdout)
    assert [finding["name"] for finding in findings if finding["status"] == "fail"] == ["log", "catalog", "store"]
    assert "hunter" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home").exists()
    assert duration < TIME_LIMIT


def test_it_prints_one_line_per_check(tmp_path: Path) -> None:
    done = run_doctor(tmp_path / "home")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == f"all {len(lines) - 1} checks are fine"
    assert all(line.startswith("ok    ") for line in lines[:-1])


@pytest.mark.slow
@pytest.mark.broker
def test_topics_and_clock_of_a_real_broker_are_checked_and_nothing_is_left_there(
    tmp_path: Path, kafka_url: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from confluent_kafka.admin import AdminClient  # noqa: TID251

    names = {"ANIMEVERSE_LOG_URL": kafka_url, "ANIMEVERSE_TOPIC_PREFIX": topic_prefix}
    findings = findings_of(tmp_path, **names)
    assert unhealthy(findings) == {}
    assert "0 of 7 there, the others are created" in findings["topics"].detail
    send(tmp_path, [movement(1)], settings=load_settings(home=tmp_path, log_url=kafka_url, topic_prefix=topic_prefix))
    findings = findings_of(tmp_path, ANIMEVERSE_PARTITIONS="3", **names)
    assert unhealthy(findings) == {"topics": "warn"}
    assert "inventory-updates has 4 partitions, 3 are set" in findings["topics"].detail
    real = time.time
    monkeypatch.setattr("pipelines.log.kafka.probe.time.time", lambda: real() + 400)
    findings = findings_of(tmp_path, **names)
    assert unhealthy(findings) == {"clock": "fail"}
    assert "400" in findings["clock"].detail
    deadline = time.monotonic() + 20
    admin = AdminClient({"bootstrap.servers": kafka_url.removeprefix("kafka://")})
    while any("doctor" in name for name in admin.list_topics(timeout=5).topics):
        assert time.monotonic() < deadline
        time.sleep(0.2)
