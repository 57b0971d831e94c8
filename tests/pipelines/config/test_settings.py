import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipelines.config.policies import Policy
from pipelines.config.settings import load_settings
from pipelines.config.sources import CATALOG_NAMES, S3_NAMES
from pipelines.config.topic_settings import BY_TOPIC
from pipelines.contracts.registry import TOPICS
from pipelines.durations import parse_duration, show_duration
from pipelines.errors import SettingsError

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_settings: None) -> None:
    monkeypatch.chdir(tmp_path)


def _refusal(**overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(**overrides)
    return str(caught.value)


def test_without_any_setting_everything_lies_in_data_of_the_working_directory(tmp_path: Path) -> None:
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


def test_arguments_win_over_environment_over_dot_env_over_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "animeverse.toml").write_text('batch_size = 1\npartitions = 1\ncurrency = "JPY"\ntopic_prefix = "t"\n')
    (tmp_path / ".env").write_text("ANIMEVERSE_BATCH_SIZE=2\nANIMEVERSE_PARTITIONS=2\nANIMEVERSE_CURRENCY=USD\n")
    monkeypatch.setenv("ANIMEVERSE_BATCH_SIZE", "3")
    monkeypatch.setenv("ANIMEVERSE_PARTITIONS", "3")
    settings = load_settings(batch_size=4, partitions=None)
    assert (settings.batch_size, settings.partitions, settings.currency, settings.topic_prefix) == (4, 3, "USD", "t")


def test_an_empty_variable_counts_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMEVERSE_LOG_URL", "")
    assert load_settings().log_path is not None


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


def test_toml_takes_tables_for_topics_kafka_s3_and_catalog(tmp_path: Path) -> None:
    (tmp_path / "animeverse.toml").write_text(
        """
        log_url = "kafka://broker-1:9092,broker-2:9092"
        catalog_url = "https://catalog.example/v1"
        lake_root = "s3://bucket/lake/"
        min_event_time = 2001-02-03T04:05:06+01:00
        [kafka]
        sasl.mechanism = "SCRAM-SHA-512"
        "enable.ssl.certificate.verification" = false
        [s3]
        secret_access_key = "s3cret"
        [catalog]
        token = "t0ken"
        [topics.pos-transactions]
        allowed_lateness = "72h"
        """
    )
    settings = load_settings()
    assert settings.kafka == {"sasl.mechanism": "SCRAM-SHA-512", "enable.ssl.certificate.verification": "false"}
    assert settings.s3 == {"s3.secret-access-key": "s3cret"}
    assert settings.catalog == {"token": "t0ken"}
    assert settings.lake_root == "s3://bucket/lake"
    assert settings.policy("pos-transactions").allowed_lateness == timedelta(hours=72)
    assert settings.min_event_time == datetime(2001, 2, 3, 3, 5, 6, tzinfo=UTC)


def test_kafka_variables_become_librdkafkas_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMEVERSE_LOG_URL", "kafka://[::1]:9092")
    monkeypatch.setenv("ANIMEVERSE_KAFKA_SASL_MECHANISM", "PLAIN")
    monkeypatch.setenv("ANIMEVERSE_KAFKA_SSL_CA_LOCATION", "/ca.pem")
    assert load_settings().kafka == {"sasl.mechanism": "PLAIN", "ssl.ca.location": "/ca.pem"}


def test_what_every_s3_client_reads_counts_where_our_own_name_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://one")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "theirs")
    monkeypatch.setenv("ANIMEVERSE_S3_ACCESS_KEY_ID", "ours")
    expected = {"s3.endpoint": "http://one", "s3.access-key-id": "ours", "s3.region": "us-east-1"}  # AWS is not asked
    assert load_settings().s3 == expected


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("ANIMEVERSE_BATCHSIZE", "ANIMEVERSE_BATCH_SIZE"),
        ("ANIMEVERSE_ALLOWED_LATENES", "ANIMEVERSE_ALLOWED_LATENESS"),
        ("ANIMEVERSE_DRIFT__POS_TRANSACTION", "ANIMEVERSE_DRIFT__POS_TRANSACTIONS"),
        ("ANIMEVERSE_S3_SECRET_KEY", "ANIMEVERSE_S3_SECRET_ACCESS_KEY"),
        ("ANIMEVERSE_CATALOG_TOKENS", "ANIMEVERSE_CATALOG_TOKEN"),
    ],
)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_an_unknown_variable_is_named_with_the_nearest_right_one(
    name: str, right: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == ".env":
        (tmp_path / ".env").write_text(f"{name}=hush\n")
    else:
        monkeypatch.setenv(name, "hush")
    message = _refusal()
    assert message == f"{name}{' (.env)' if place == '.env' else ''}: unknown setting; did you mean {right}?"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("batchsize = 1", "animeverse.toml: batchsize: unknown setting; did you mean batch_size?"),
        ("[topics.cinema]\n", "animeverse.toml: [topics.cinema]: unknown setting; did you mean cinema-sales?"),
        (
            '[topics.cinema-sales]\nlateness = "1h"',
            "animeverse.toml: topics.cinema-sales.lateness: unknown setting; did you mean allowed_lateness?",
        ),
        ("[s3]\nregio = 1", "animeverse.toml: s3.regio: unknown setting; did you mean region?"),
        ("kafka = 1", "animeverse.toml: expected a table [kafka], found int"),
        ("batch_size = 0", "animeverse.toml: batch_size: expected a whole number of at least 1, found '0'"),
    ],
)
def test_a_fault_in_toml_is_named(toml: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "animeverse.toml").write_text(toml)
    assert _refusal() == message


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
def test_a_malformed_value_is_named_with_what_is_expected(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"ANIMEVERSE_{name}", value)
    assert _refusal() == f"ANIMEVERSE_{name}: expected {expected}, found {value!r}"


@pytest.mark.parametrize("url", ["kafka://host", "kafka://host:99999", "kafka://", "redpanda:9092", "sqlite:///", "x"])
def test_an_address_of_no_log_is_refused(url: str) -> None:
    assert _refusal(log_url=url).startswith("log_url: expected kafka://host:port[,host:port…] or sqlite:///path")


def test_contradictions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lateness = _refusal(allowed_lateness="1m")
    assert "expected ANIMEVERSE_ALLOWED_LATENESS to be at least ANIMEVERSE_OUT_OF_ORDERNESS" in lateness
    assert "found" not in lateness
    monkeypatch.setenv("ANIMEVERSE_OUT_OF_ORDERNESS__CINEMA_SALES", "49h")
    assert "allowed_lateness is 2d, out_of_orderness 2d1h for cinema-sales" in _refusal()
    monkeypatch.setenv("ANIMEVERSE_KAFKA_SASL_PASSWORD", "hush")
    assert "Kafka settings are given (sasl.password), but ANIMEVERSE_LOG_URL is sqlite:///" in _refusal()
    monkeypatch.setenv("ANIMEVERSE_KAFKA_BOOTSTRAP_SERVERS", "other:9092")
    assert "address is given twice" in _refusal(log_url="kafka://host:9092")
    monkeypatch.setenv("ANIMEVERSE_CATALOG_TOKEN", "hush")
    monkeypatch.delenv("ANIMEVERSE_KAFKA_BOOTSTRAP_SERVERS")
    assert "catalog settings are given (token)" in _refusal(log_url="kafka://host:9092")


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
            assert "hush" not in _refusal()
    monkeypatch.setenv("ANIMEVERSE_BATCH_SIZE", "x")
    assert "hush" not in _refusal()


def test_variables_of_test_suites_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMEVERSE_TEST_KAFKA", "kafka://host:9092")
    load_settings()


@given(
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000)),
    st.datetimes(timezones=st.just(UTC)),
    st.sampled_from(["evolve", "freeze", "quarantine"]),
)
def test_a_policy_survives_json_to_the_microsecond(duration: timedelta, moment: datetime, drift: str) -> None:
    policy = Policy(duration, duration * 2, timedelta(0), duration, drift, "EUR", moment)
    assert Policy.from_json(policy.to_json()) == policy


def test_a_stored_policy_without_newer_fields_gets_their_defaults() -> None:
    stored = json.loads(Policy(allowed_lateness=timedelta(hours=1), currency="JPY").to_json())
    del stored["idle_timeout"], stored["min_event_time"]
    read = Policy.from_json(json.dumps({**stored, "a_field_of_a_later_version": 1}))
    assert read == Policy(allowed_lateness=timedelta(hours=1), currency="JPY")


def test_a_stored_policy_of_the_first_version_is_read() -> None:
    text = (
        '{"allowed_lateness": 172800000000, "currency": "EUR", "drift": "freeze", "future_tolerance": 300000000, '
        '"idle_timeout": 300000000, "min_event_time": "2000-01-01T00:00:00+00:00", "out_of_orderness": 600000000}'
    )
    assert Policy.from_json(text) == Policy(drift="freeze")
    assert Policy(drift="freeze").to_json() == text


def test_the_default_policy_is_the_policy_of_the_default_settings() -> None:
    assert load_settings().policy("pos-transactions") == Policy()


@pytest.mark.parametrize(
    ("url", "kind"), [("", "sql"), ("sqlite:///catalog.db", "sql"), ("http://catalog:8181", "rest")]
)
def test_the_address_decides_the_kind_of_catalog(url: str, kind: str) -> None:
    settings = load_settings(catalog_url=url or None)
    assert settings.catalog_kind == kind
    assert settings.is_catalog_missing == (kind == "sql")


@given(st.integers(min_value=0, max_value=10**12))
def test_a_duration_is_read_back_as_it_was_shown(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(show_duration(duration)) == duration


@pytest.mark.parametrize(("text", "age"), [("off", None), ("90d", timedelta(days=90)), ("24h", timedelta(days=1))])
def test_bronze_is_kept_for_ever_or_for_an_age(text: str, age: timedelta | None) -> None:
    assert load_settings().bronze_retention is None
    assert load_settings(bronze_retention=text).bronze_retention == age


@pytest.mark.parametrize("text", ["0", "23h", "never", "-1d"])
def test_an_age_of_bronze_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected off, or an age of at least 1d such as 90d"):
        load_settings(bronze_retention=text)


def test_dot_env_example_names_every_setting_and_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / ".env.example").read_text()
    lines = [line.removeprefix("# ") for line in text.splitlines() if "=" in line and "ANIMEVERSE_" in line]
    names = {line.split("=")[0].removeprefix("ANIMEVERSE_").split("__")[0] for line in lines}
    fields = {f.upper() for f in type(load_settings()).model_fields if f != "topics" and not f.endswith("_settings")}
    assert names >= fields
    assert names >= {f"S3_{name.upper()}" for name in S3_NAMES} | {f"CATALOG_{name.upper()}" for name in CATALOG_NAMES}
    (tmp_path / ".env").write_text(text)
    load_settings()
    (tmp_path / ".env").write_text("\n".join(lines))
    for name in (line.split("=")[0] for line in lines):
        monkeypatch.delenv(name, raising=False)
    load_settings()


def test_settings_are_imported_without_contracts_or_frames() -> None:
    code = "import sys, pipelines.config.settings; print({'polars', 'dataframely', 'pyarrow'} & set(sys.modules))"
    began = time.perf_counter()
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed == "set()\n"
    assert time.perf_counter() - began < 5  # 0.3 s on an idle machine
