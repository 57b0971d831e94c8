"""What all tests share: no setting of whoever runs them reaches them, and a real broker where there is one."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

_log = os.environ.get("ANIMEVERSE_LOG_URL", "")
if _log.startswith("kafka://"):
    os.environ.setdefault("ANIMEVERSE_TEST_KAFKA", _log)
for _name in [name for name in os.environ if name.startswith("ANIMEVERSE_") and "_TEST_" not in name]:
    del os.environ[_name]


@pytest.fixture
def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even those that every S3 client reads."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


_TOOLS = Path(os.environ.get("ANIMEVERSE_TEST_TOOLS") or Path(__file__).resolve().parents[2] / "shared" / "tools")
_KAFKA_TOOL = _TOOLS / "kafka" / "kafka"


class Broker:
    """A real broker that this test run started; it can be killed and started again on the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = self.start()

    def start(self) -> str:
        """Its address; skips the test where it cannot be started."""
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
    """A real broker: that of ANIMEVERSE_TEST_KAFKA, else one that is started for this test run."""
    given = os.environ.get("ANIMEVERSE_TEST_KAFKA")
    if given:
        yield given if given.startswith("kafka://") else f"kafka://{given}"
        return
    if not _KAFKA_TOOL.exists():
        pytest.skip("no real broker: neither ANIMEVERSE_TEST_KAFKA nor ../shared/tools/kafka is there")
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker.url
    broker.wipe()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A real broker for a test that kills it."""
    if not _KAFKA_TOOL.exists():
        pytest.skip("no broker that may be killed: ../shared/tools/kafka is not there")
    broker = Broker(tmp_path / "broker")
    yield broker
    broker.wipe()


@pytest.fixture
def topic_prefix() -> str:
    """For topics on a broker that others use, too."""
    return f"test-{uuid.uuid4().hex[:12]}."


@pytest.fixture
def embedded_url(tmp_path: Path) -> str:
    """Where an embedded log may come into being."""
    return f"sqlite:///{tmp_path}/log.db"
