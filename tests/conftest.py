"""Fixtures of all tests: an environment without settings, and real servers if they are available."""

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.secure_servers import secure_servers
from tests.servers import GIVEN_PLACE, TOOLS, Server

_log = os.environ.get("ANIMEVERSE_LOG_URL", "")
if _log.startswith("kafka://"):
    os.environ.setdefault("ANIMEVERSE_TEST_KAFKA", _log)
for _name in [name for name in os.environ if name.startswith("ANIMEVERSE_") and "_TEST_" not in name]:
    del os.environ[_name]


@pytest.fixture
def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also remove the variables that every S3 client reads."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


_KAFKA_TOOL = TOOLS / "kafka" / "kafka"


class Broker:
    """A real broker started by this test run. It can be killed and restarted at the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = self.start()

    def start(self) -> str:
        """Start it and return its address. Skips the test if it cannot be started."""
        port = [] if hasattr(self, "url") else ["--port", "0"]
        command = [str(_KAFKA_TOOL), "start", *port, "--dir", str(self._folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"no real broker: {done.stderr.strip()}")
        return done.stdout.strip()

    def kill(self) -> None:
        subprocess.run([str(_KAFKA_TOOL), "kill9", "--dir", str(self._folder)], capture_output=True, check=True)

    def wipe(self) -> None:
        subprocess.run([str(_KAFKA_TOOL), "wipe", "--dir", str(self._folder)], capture_output=True, check=True)


@pytest.fixture(scope="session")
def kafka_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real broker: ANIMEVERSE_TEST_KAFKA, or a broker started for this test run."""
    given = os.environ.get("ANIMEVERSE_TEST_KAFKA")
    if given:
        yield given if given.startswith("kafka://") else f"kafka://{given}"
        return
    if not _KAFKA_TOOL.exists():
        pytest.skip("no real broker: set ANIMEVERSE_TEST_KAFKA, or provide ../shared/tools/kafka")
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker.url
    broker.wipe()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A real broker for a test that kills it."""
    if not _KAFKA_TOOL.exists():
        pytest.skip("no broker that may be killed: ../shared/tools/kafka does not exist")
    broker = Broker(tmp_path / "broker")
    yield broker
    broker.wipe()


@pytest.fixture
def topic_prefix() -> str:
    """A random prefix, because other tests may use the same broker."""
    return f"test-{uuid.uuid4().hex[:12]}."


@pytest.fixture
def embedded_url(tmp_path: Path) -> str:
    """The URL of an embedded log that does not exist yet."""
    return f"sqlite:///{tmp_path}/log.db"


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Server]:
    server = Server(TOOLS / "s3" / "s3", tmp_path / "s3")
    yield server
    server.wipe()


@pytest.fixture
def rest(tmp_path: Path, s3: Server) -> Iterator[Server]:
    tool, root = TOOLS / "rest-catalog" / "rest-catalog", f"s3://{s3.lines['S3_BUCKET']}/lake"
    server = Server(tool, tmp_path / "rest", "--warehouse", root, **s3.lines)
    yield server
    server.send(signal.SIGCONT)
    server.wipe()


@pytest.fixture
def stores(s3: Server, rest: Server) -> dict[str, str]:
    """The settings of the S3 server and the REST catalog."""
    return {
        **s3.lines,
        "ANIMEVERSE_CATALOG_URL": rest.lines["ICEBERG_REST_URI"],
        "ANIMEVERSE_LAKE_ROOT": f"s3://{s3.lines['S3_BUCKET']}/lake",
    }


@pytest.fixture
def secure_place(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of a lakehouse on a broker with SASL and TLS, a store behind TLS and a catalog on it."""
    folder = tmp_path / "servers"
    folder.mkdir()
    with secure_servers(folder, "s3://lakes/lake", "lakes") as servers:
        yield {
            "ANIMEVERSE_LOG_URL": f"kafka://{servers.broker}",
            "ANIMEVERSE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "ANIMEVERSE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
            "ANIMEVERSE_KAFKA_SASL_USERNAME": "animeverse",
            "ANIMEVERSE_KAFKA_SASL_PASSWORD": servers.password,
            "ANIMEVERSE_KAFKA_SSL_CA_LOCATION": str(servers.authorities),
            "ANIMEVERSE_CATALOG_URL": servers.catalog,
            "ANIMEVERSE_LAKE_ROOT": "s3://lakes/lake",
            "ANIMEVERSE_S3_ENDPOINT": servers.endpoint,
            "ANIMEVERSE_S3_REGION": servers.store["AWS_REGION"],
            "ANIMEVERSE_S3_ACCESS_KEY_ID": servers.store["AWS_ACCESS_KEY_ID"],
            "ANIMEVERSE_S3_SECRET_ACCESS_KEY": servers.store["AWS_SECRET_ACCESS_KEY"],
            "SSL_CERT_FILE": str(servers.authorities),
        }


@pytest.fixture(
    params=["embedded", pytest.param("services", marks=[pytest.mark.slow, pytest.mark.services, pytest.mark.broker])]
)
def place(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of a lakehouse: everything in the home, or a real broker, S3 server and REST catalog.

    If the variable GIVEN_PLACE is set, it contains the latter settings as JSON.
    """
    if request.param == "embedded":
        return {}
    if GIVEN_PLACE in os.environ:
        given: dict[str, str] = json.loads(os.environ[GIVEN_PLACE])
        return given
    broker = {name: request.getfixturevalue(name) for name in ("kafka_url", "topic_prefix")}
    return {
        **request.getfixturevalue("stores"),
        "ANIMEVERSE_LOG_URL": broker["kafka_url"],
        "ANIMEVERSE_TOPIC_PREFIX": broker["topic_prefix"],
    }
