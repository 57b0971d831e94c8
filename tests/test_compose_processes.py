"""The commands of the containers, with the environment of compose, as processes against real servers.

The servers are those of ../shared/tools: Apache Kafka for Redpanda, VersityGW behind TLS for RustFS, and the REST
catalog's own code. Only addresses and the places of secrets differ from docker-compose.yml + docker-compose.secure.yml.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.compose_files import ROOT, environment
from tests.secure_servers import secure_servers

pytestmark = [pytest.mark.services, pytest.mark.broker, pytest.mark.slow]


@dataclass(frozen=True)
class Stack:
    """The secure stack on this machine: secrets as files, and the local address of each compose address."""

    home: Path
    secrets: Path
    addresses: dict[str, str]

    def run(self, service: str, *command: str, **other: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the service's environment and entrypoint."""
        given = {"PATH": os.environ["PATH"], "ANIMEVERSE_HOME": str(self.home), "PYTHONPATH": str(ROOT)}
        for name, value in {**environment(service, secure=True), **other}.items():
            for there, here in {**self.addresses, "/run/secrets": str(self.secrets)}.items():
                value = value.replace(there, here)
            given[name] = value
        line = ["sh", str(ROOT / "deploy" / "with-secrets"), sys.executable, *command]
        return subprocess.run(line, env=given, cwd=self.home, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    secrets = folder / "secrets"
    for made in (secrets, folder / "home"):
        made.mkdir()
    warehouse = environment("catalog", secure=True)["CATALOG_WAREHOUSE"]
    with secure_servers(folder, warehouse, "another") as servers:
        (secrets / "broker_password").write_text(servers.password)
        (secrets / "store_access_key").write_text(servers.store["AWS_ACCESS_KEY_ID"])
        (secrets / "store_secret_key").write_text(servers.store["AWS_SECRET_ACCESS_KEY"])
        (secrets / "ca").write_text(servers.authorities.read_text())
        addresses = {
            "redpanda:9092": servers.broker,
            "https://rustfs:9000": servers.endpoint,
            "http://catalog:8181": servers.catalog,
        }
        yield Stack(folder / "home", secrets, addresses)


def test_the_whole_pipeline_runs_over_sasl_and_tls(stack: Stack) -> None:
    assert stack.run("bucket", str(ROOT / "deploy" / "bucket.py")).returncode == 0
    sent = stack.run("producers", "-m", "animeverse", "produce", "--events", "2000", "--days", "5", "--seed", "1")
    assert sent.returncode == 0, sent.stderr
    run = stack.run("pipeline", "-m", "animeverse", "run", "all", "--once")
    assert run.returncode == 0, run.stderr
    verified = stack.run("pipeline", "-m", "animeverse", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    (number,) = re.findall(r"sent ([\d,]+) records", sent.stderr + sent.stdout)
    status = json.loads(stack.run("worker", "-m", "animeverse", "status", "--json").stdout)
    assert status["catalog"]["type"] == "rest"
    assert status["catalog"]["warehouse"] == "s3://warehouse/lake"
    query = "select sum(polled)::bigint as n from ops.batches"
    asked = stack.run("jupyter", "-m", "animeverse", "query", query, "--format", "json")
    assert json.loads(asked.stdout) == [{"n": int(number.replace(",", ""))}], asked.stderr


def test_the_broker_rejects_a_wrong_password(stack: Stack) -> None:
    (stack.secrets / "wrong").write_text("wrong")
    wrong = "ANIMEVERSE_KAFKA_SASL_PASSWORD=/run/secrets/wrong"
    done = stack.run("producers", "-m", "animeverse", "produce", "--count", "1", ENV_FROM_FILES=wrong)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search("password|credential|authenti", done.stderr.lower()), done.stderr


def test_a_broker_and_a_store_with_another_authority_are_rejected(stack: Stack, tmp_path: Path) -> None:
    subprocess.run(["sh", ROOT / "deploy" / "certs.sh", tmp_path / "certs"], capture_output=True, check=True)
    other = str(tmp_path / "certs" / "ca.pem")
    sent = stack.run("producers", "-m", "animeverse", "produce", "--count", "1", ANIMEVERSE_KAFKA_SSL_CA_LOCATION=other)
    assert sent.returncode == 1
    assert "Traceback" not in sent.stderr
    made = stack.run("bucket", str(ROOT / "deploy" / "bucket.py"), SSL_CERT_FILE=other)
    assert made.returncode == 1
    assert "certificate" in made.stderr
