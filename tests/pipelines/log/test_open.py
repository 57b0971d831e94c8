"""URLs of logs, and the libraries that opening a log imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import SettingsError
from pipelines.log.embedded.log import EmbeddedLog
from pipelines.log.kafka.log import KafkaLog
from pipelines.log.open import open_log

ROOT = Path(__file__).parents[3]


def test_sqlite_urls_have_the_form_of_sqlalchemy() -> None:
    relative, absolute = open_log("sqlite:///some/log.db"), open_log("sqlite:////some/log with %20.db")
    assert isinstance(relative, EmbeddedLog) and relative.path == Path("some/log.db")
    assert isinstance(absolute, EmbeddedLog) and absolute.path == Path("/some/log with %20.db")


@pytest.mark.parametrize("url", ["kafka://localhost:9092", "kafka://a.example:1,10.0.0.1:65535/", "kafka://[::1]:9092"])
def test_kafka_urls_name_one_or_more_brokers(url: str) -> None:
    log = open_log(url)
    assert isinstance(log, KafkaLog)
    log.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:9092",
        "kafka://",
        "kafka://localhost",
        "kafka://localhost:port",
        "kafka://localhost:70000",
        "kafka://a:1,,b:2",
        "kafka://a:1/topic",
        "kafka:localhost:9092",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///folder/",
        "sqlite:///log.db?mode=ro",
        "sqlite:log.db",
        "redpanda://localhost:9092",
    ],
)
def test_any_other_url_is_refused_with_the_expected_form(url: str) -> None:
    with pytest.raises(SettingsError, match=r"expected ANIMEVERSE_LOG_URL to be kafka://host:port"):
        open_log(url)


def test_an_error_does_not_repeat_the_password_of_a_url() -> None:
    with pytest.raises(SettingsError) as caught:
        open_log("kafka://user:secret@localhost:9092")
    assert "secret" not in str(caught.value) and "ANIMEVERSE_KAFKA_SASL" in str(caught.value)


def test_opening_the_embedded_log_imports_no_kafka_client_and_no_second_sqlite(tmp_path: Path) -> None:
    script = (
        f"import sys; from pipelines.log.open import open_log; log = open_log('sqlite:///{tmp_path}/log.db');"
        "log.ensure_topics(['t']); log.close();"
        "assert not {'confluent_kafka', 'sqlite3', 'adbc_driver_manager.dbapi'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
