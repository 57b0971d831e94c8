from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.config.settings import load_settings
from pipelines.config.sources import CATALOG_NAMES, S3_NAMES
from tests.pipelines.config.refusal import refusal

ROOT = Path(__file__).parents[3]


def test_arguments_win_over_environment_over_dot_env_over_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "animeverse.toml").write_text('batch_size = 1\npartitions = 1\ncurrency = "JPY"\ntopic_prefix = "t"\n')
    (tmp_path / ".env").write_text("ANIMEVERSE_BATCH_SIZE=2\nANIMEVERSE_PARTITIONS=2\nANIMEVERSE_CURRENCY=USD\n")
    monkeypatch.setenv("ANIMEVERSE_BATCH_SIZE", "3")
    monkeypatch.setenv("ANIMEVERSE_PARTITIONS", "3")
    settings = load_settings(batch_size=4, partitions=None)
    assert (settings.batch_size, settings.partitions, settings.currency, settings.topic_prefix) == (4, 3, "USD", "t")


def test_an_empty_variable_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMEVERSE_LOG_URL", "")
    assert load_settings().log_path is not None


def test_toml_has_tables_for_topics_kafka_s3_and_catalog(tmp_path: Path) -> None:
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


def test_kafka_variables_become_librdkafka_properties(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMEVERSE_LOG_URL", "kafka://[::1]:9092")
    monkeypatch.setenv("ANIMEVERSE_KAFKA_SASL_MECHANISM", "PLAIN")
    monkeypatch.setenv("ANIMEVERSE_KAFKA_SSL_CA_LOCATION", "/ca.pem")
    assert load_settings().kafka == {"sasl.mechanism": "PLAIN", "ssl.ca.location": "/ca.pem"}


def test_aws_variables_apply_where_our_own_variable_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_an_unknown_variable_is_reported_with_the_nearest_known_name(
    name: str, right: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == ".env":
        (tmp_path / ".env").write_text(f"{name}=hush\n")
    else:
        monkeypatch.setenv(name, "hush")
    message = refusal()
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
def test_an_error_in_toml_is_reported_with_its_name(toml: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "animeverse.toml").write_text(toml)
    assert refusal() == message


def test_variables_of_test_suites_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMEVERSE_TEST_KAFKA", "kafka://host:9092")
    load_settings()


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
