import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipelines.config.policies import Policy
from pipelines.config.settings import load_settings
from pipelines.config.topic_settings import BY_TOPIC
from pipelines.contracts.registry import TOPICS
from pipelines.durations import show_duration
from pipelines.errors import SettingsError
from tests.pipelines.config.refusal import refusal

ROOT = Path(__file__).parents[3]


def test_the_default_home_is_data_in_the_working_directory(tmp_path: Path) -> None:
    settings = load_settings()
    home = tmp_path / "data"
    assert settings.home == home
    assert (settings.log_path, settings.catalog_path) == (home / "log.db", home / "catalog.db")
    assert settings.lake_root == str(home / "lake")
    assert settings.published_path == home / "gold" / "animeverse.duckdb"
    assert (settings.partitions, settings.batch_size, settings.currency) == (4, 80_000, "EUR")
    assert settings.policy("pos-transactions") == Policy(
        timedelta(minutes=10),
        timedelta(hours=48),
        timedelta(minutes=5),
        timedelta(minutes=5),
        "evolve",
        "EUR",
        datetime(2000, 1, 1, tzinfo=UTC),
    )


def test_settings_cannot_be_changed() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.batch_size = 7


@pytest.mark.parametrize("name", BY_TOPIC)
def test_each_lateness_setting_can_differ_for_one_topic(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = "freeze" if name == "drift" else "72h" if name == "allowed_lateness" else "7m"
    monkeypatch.setenv(f"ANIMEVERSE_{name.upper()}__CINEMA_SALES", value)
    settings = load_settings()
    changed = [topic for topic in TOPICS if settings.policy(topic) != settings.policy("pos-transactions")]
    assert changed == ["cinema-sales"]
    found = getattr(settings.policy("cinema-sales"), name)
    assert (found if name == "drift" else show_duration(found)) == ("3d" if value == "72h" else value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("BATCH_SIZE", "many", "a whole number of at least 1"),
        ("PARTITIONS", "0", "a whole number from 1 to 10,000"),
        ("IDLE_TIMEOUT", "5", "a duration such as 500ms, 90s, 10m, 48h, 1d or 1h30m"),
        ("IDLE_TIMEOUT__CINEMA_SALES", "-5m", "a duration such as 500ms, 90s, 10m, 48h, 1d or 1h30m"),
        ("CURRENCY", "euro", "three capital letters such as EUR"),
        ("DRIFT", "ignore", "evolve, freeze or quarantine"),
        ("MIN_EVENT_TIME", "2000-01-01", "a time with its zone, such as 2000-01-01T00:00:00Z"),
        ("TOPIC_PREFIX", "a b", "letters, digits, dots, dashes or underscores, at most 100"),
        ("LAKE_ROOT", "gs://bucket", "s3://bucket[/prefix] or a folder"),
        ("HOME", "/tmp/50%", "a folder without #, ? or % in its path"),
    ],
)
def test_a_malformed_value_is_reported_with_what_is_expected(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"ANIMEVERSE_{name}", value)
    shown = "'gs://…', the rest is not shown" if "://" in value else repr(value)  # it may hold a password
    assert refusal() == f"ANIMEVERSE_{name}: expected {expected}, found {shown}"


@pytest.mark.parametrize("url", ["kafka://host", "kafka://host:99999", "kafka://", "redpanda:9092", "sqlite:///", "x"])
def test_an_address_that_is_not_a_log_is_refused(url: str) -> None:
    assert refusal(log_url=url).startswith("log_url: expected kafka://host:port[,host:port…] or sqlite:///path")


def test_contradictions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lateness = refusal(allowed_lateness="1m")
    assert "expected ANIMEVERSE_ALLOWED_LATENESS to be at least ANIMEVERSE_OUT_OF_ORDERNESS" in lateness
    assert "found" not in lateness
    monkeypatch.setenv("ANIMEVERSE_OUT_OF_ORDERNESS__CINEMA_SALES", "49h")
    assert "allowed_lateness is 2d, out_of_orderness 2d1h for cinema-sales" in refusal()
    monkeypatch.setenv("ANIMEVERSE_KAFKA_SASL_PASSWORD", "hush")
    assert "Kafka settings are given (sasl.password), but ANIMEVERSE_LOG_URL is sqlite:///" in refusal()
    monkeypatch.setenv("ANIMEVERSE_KAFKA_BOOTSTRAP_SERVERS", "other:9092")
    assert "address is given twice" in refusal(log_url="kafka://host:9092")
    monkeypatch.setenv("ANIMEVERSE_CATALOG_TOKEN", "hush")
    monkeypatch.delenv("ANIMEVERSE_KAFKA_BOOTSTRAP_SERVERS")
    assert "catalog settings are given (token)" in refusal(log_url="kafka://host:9092")


def test_no_secret_is_ever_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMEVERSE_LOG_URL", "kafka://host:9092")
    monkeypatch.setenv("ANIMEVERSE_CATALOG_URL", "http://catalog")
    for name in ("KAFKA_SASL_PASSWORD", "S3_SECRET_ACCESS_KEY", "CATALOG_TOKEN"):
        monkeypatch.setenv(f"ANIMEVERSE_{name}", "hush")
    settings = load_settings()
    assert "hush" not in f"{settings!r}{settings}{settings.model_dump()}{settings.model_dump_json()}"
    assert "hush" in settings.kafka.values()
    for name in ("LOG_URL", "CATALOG_URL"):
        with monkeypatch.context() as inner:
            inner.setenv(f"ANIMEVERSE_{name}", "http://me:hush@host:1/a@b")
            assert "hush" not in refusal()
    monkeypatch.setenv("ANIMEVERSE_BATCH_SIZE", "x")
    assert "hush" not in refusal()


@pytest.mark.parametrize(
    ("url", "kind"), [("", "sql"), ("sqlite:///catalog.db", "sql"), ("http://catalog:8181", "rest")]
)
def test_the_address_decides_the_kind_of_catalog(url: str, kind: str) -> None:
    settings = load_settings(catalog_url=url or None)
    assert settings.catalog_kind == kind
    assert settings.is_catalog_missing == (kind == "sql")


@pytest.mark.parametrize(("text", "age"), [("off", None), ("90d", timedelta(days=90)), ("24h", timedelta(days=1))])
def test_bronze_retention_is_off_or_an_age(text: str, age: timedelta | None) -> None:
    assert load_settings().bronze_retention is None
    assert load_settings(bronze_retention=text).bronze_retention == age


@pytest.mark.parametrize("text", ["0", "23h", "never", "-1d"])
def test_an_invalid_bronze_retention_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected off, or an age of at least 1d such as 90d"):
        load_settings(bronze_retention=text)


def test_settings_are_imported_without_contracts_or_frames() -> None:
    code = "import sys, pipelines.config.settings; print({'polars', 'dataframely', 'pyarrow'} & set(sys.modules))"
    began = time.perf_counter()
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed == "set()\n"
    assert time.perf_counter() - began < 5  # 0.3 s on an idle machine
