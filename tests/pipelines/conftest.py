"""A real S3 server, a real REST catalog over it, and the settings that lead there."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .servers import TOOLS, Server


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


@pytest.fixture(
    params=["embedded", pytest.param("services", marks=[pytest.mark.slow, pytest.mark.services, pytest.mark.broker])]
)
def place(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of a whole lakehouse: all inside the home, or on a real broker, S3 server and REST catalog."""
    if request.param == "embedded":
        return {}
    broker = {name: request.getfixturevalue(name) for name in ("kafka_url", "topic_prefix")}
    return {
        **request.getfixturevalue("stores"),
        "ANIMEVERSE_LOG_URL": broker["kafka_url"],
        "ANIMEVERSE_TOPIC_PREFIX": broker["topic_prefix"],
    }
