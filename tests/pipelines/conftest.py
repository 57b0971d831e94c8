"""A real S3 server, a real REST catalog over it, and the settings that lead there."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.secure_servers import secure_servers

from .servers import TOOLS, Server

GIVEN_PLACE = "LAKEHOUSE_TEST_PLACE"


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
    """The settings that lead to both."""
    return {
        **s3.lines,
        "ANIMEVERSE_CATALOG_URL": rest.lines["ICEBERG_REST_URI"],
        "ANIMEVERSE_LAKE_ROOT": f"s3://{s3.lines['S3_BUCKET']}/lake",
    }


@pytest.fixture
def secure_place(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of a lakehouse on a broker with SASL and TLS, a store behind TLS and a catalog over it."""
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
    """The settings of a whole lakehouse: all inside the home, or on a real broker, S3 server and REST catalog.

    The latter are those of GIVEN_PLACE, as JSON, where that is set.
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
