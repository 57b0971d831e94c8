"""Everything that can be set up wrong is found, told with how to mend it, and nothing is left behind."""

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
IN_TIME = 15.0  # seconds, with everything down


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No .env of whoever runs the tests."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def found(home: Path, **variables: str) -> dict[str, Finding]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return {of.name: of for of in doctor(home)}


def asked(home: Path, *options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "animeverse", "--home", str(home), "doctor", *options]
    return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)


def unhealthy(findings: Mapping[str, Finding]) -> dict[str, str]:
    return {name: of.status for name, of in findings.items() if of.status != "ok"}


def test_a_fresh_home_and_a_filled_one_are_fine_and_stay_as_they_are(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert unhealthy(found(home)) == {}
    assert not home.exists()
    send(home, [movement(1)])
    run_layers(home)
    before = {path for path in home.rglob("*") if path.suffix not in (".db-shm", ".db-wal")}
    findings = found(home)
    assert unhealthy(findings) == {}
    assert "7 of 7 there" in findings["topics"].detail
    assert {path for path in home.rglob("*") if path.suffix not in (".db-shm", ".db-wal")} == before


@pytest.mark.parametrize(
    ("variables", "told"),
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
        ({"ANIMEVERSE_HOME_DIR": "x"}, "is no setting"),
    ],
)
def test_a_setting_that_is_wrong_is_named(variables: dict[str, str], told: str, tmp_path: Path) -> None:
    findings = found(tmp_path / "home", **variables)
    assert unhealthy(findings) == {"settings": "fail"}
    assert told in findings["settings"].detail
    assert "hunter22" not in str(findings)


def test_files_where_folders_or_databases_should_be_are_found(tmp_path: Path) -> None:
    file, foreign = tmp_path / "file", tmp_path / "foreign.db"
    file.write_text("hello")
    with sqlite3.connect(foreign) as connection:
        connection.execute("create table t (x)")
    assert unhealthy(found(file)) == {"home": "fail", "log": "fail", "catalog": "fail", "store": "fail"}
    home = tmp_path / "home"
    for url in (f"sqlite:///{file}", f"sqlite:///{foreign}"):
        assert unhealthy(found(home, ANIMEVERSE_CATALOG_URL=url)) == {"catalog": "fail"}
        assert unhealthy(found(home, ANIMEVERSE_LOG_URL=url)) == {"log": "fail"}
    assert unhealthy(found(home, ANIMEVERSE_LAKE_ROOT=str(file))) == {"store": "fail"}
    assert file.read_text() == "hello"
    with sqlite3.connect(foreign) as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == [("t",)]


def test_a_run_that_holds_the_home_and_a_migration_half_done_are_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with home_lock(home):
        findings = found(home)
    assert unhealthy(findings) == {"writer": "warn"}
    assert str(os.getpid()) in findings["writer"].detail
    lake = Lake.open(load_settings(home=home))
    lake.ensure(MIGRATIONS, MIGRATIONS_SCHEMA)
    lake.close()
    findings = found(home)
    assert unhealthy(findings) == {"catalog": "fail"}
    assert "animeverse migrate" in findings["catalog"].mend


def test_a_disk_without_room_and_packages_that_do_not_fit_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, real = 10**9, metadata.version
    monkeypatch.setattr(doctor_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    def version(name: str) -> str:
        if name == "rich":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "duckdb" else real(name)

    monkeypatch.setattr(doctor_module.metadata, "version", version)
    findings = found(tmp_path)
    assert unhealthy(findings) == {"packages": "fail", "disk": "warn"}
    assert findings["packages"].detail == "duckdb is 0.1, expected ==2.0.0; rich is missing"
    free = 10**6
    monkeypatch.setattr(doctor_module.sys, "version_info", (3, 10, 1))
    assert unhealthy(found(tmp_path)) == {"python": "fail", "packages": "fail", "disk": "fail"}


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


def test_with_everything_down_it_ends_in_time_and_says_so_without_a_secret(tmp_path: Path) -> None:
    began = time.monotonic()
    done = asked(tmp_path / "home", "--json", **DOWN)
    took = time.monotonic() - began
    assert done.returncode == 1
    findings: list[dict[str, Any]] = json.loads(done.stdout)
    assert [of["name"] for of in findings if of["status"] == "fail"] == ["log", "catalog", "store"]
    assert "hunter" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home").exists()
    assert took < IN_TIME


def test_it_prints_one_line_a_check(tmp_path: Path) -> None:
    done = asked(tmp_path / "home")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == f"all {len(lines) - 1} checks are fine"
    assert all(line.startswith("ok    ") for line in lines[:-1])


@pytest.mark.slow
@pytest.mark.broker
def test_a_real_broker_is_asked_for_topics_and_time_and_keeps_nothing(
    tmp_path: Path, kafka_url: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from confluent_kafka.admin import AdminClient  # noqa: TID251

    names = {"ANIMEVERSE_LOG_URL": kafka_url, "ANIMEVERSE_TOPIC_PREFIX": topic_prefix}
    findings = found(tmp_path, **names)
    assert unhealthy(findings) == {}
    assert "0 of 7 there, the others are made" in findings["topics"].detail
    send(tmp_path, [movement(1)], settings=load_settings(home=tmp_path, log_url=kafka_url, topic_prefix=topic_prefix))
    findings = found(tmp_path, ANIMEVERSE_PARTITIONS="3", **names)
    assert unhealthy(findings) == {"topics": "warn"}
    assert "inventory-updates has 4 partitions, 3 are set" in findings["topics"].detail
    real = time.time
    monkeypatch.setattr("pipelines.log.kafka.probe.time.time", lambda: real() + 400)
    findings = found(tmp_path, **names)
    assert unhealthy(findings) == {"clock": "fail"}
    assert "400" in findings["clock"].detail
    deadline = time.monotonic() + 20
    admin = AdminClient({"bootstrap.servers": kafka_url.removeprefix("kafka://")})
    while any("doctor" in name for name in admin.list_topics(timeout=5).topics):
        assert time.monotonic() < deadline
        time.sleep(0.2)
