"""What the containers run, with the environment that compose gives them, as processes against real servers.

The servers are those of ../shared/tools: Apache Kafka for Redpanda, VersityGW behind TLS for RustFS, and the REST
catalog's own code. Only addresses and the places of secrets differ from docker-compose.yml + docker-compose.secure.yml.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.compose_files import ROOT, environment
from tests.tls_front import tls_front

TOOLS = ROOT.parent / "shared" / "tools"

pytestmark = [pytest.mark.services, pytest.mark.broker, pytest.mark.slow]


@dataclass(frozen=True)
class Stack:
    """The secure stack on this machine: secrets as files, and where each address of compose's is here."""

    home: Path
    secrets: Path
    addresses: dict[str, str]

    def run(self, service: str, *command: str, **other: str) -> subprocess.CompletedProcess[str]:
        """A command in the service's place: its environment, its entrypoint."""
        given = {"PATH": os.environ["PATH"], "ANIMEVERSE_HOME": str(self.home), "PYTHONPATH": str(ROOT)}
        for name, value in {**environment(service, secure=True), **other}.items():
            for there, here in {**self.addresses, "/run/secrets": str(self.secrets)}.items():
                value = value.replace(there, here)
            given[name] = value
        line = ["sh", str(ROOT / "deploy" / "with-secrets"), sys.executable, *command]
        return subprocess.run(line, env=given, cwd=self.home, capture_output=True, text=True, timeout=300)


def started(tool: str, folder: Path, *arguments: str, **environment: str) -> str:
    """What a tool prints once its server is up; the test is skipped where it cannot be."""
    command = [TOOLS / tool / tool, "start", "--dir", folder, "--port", "0", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=500)
    if done.returncode:
        pytest.skip(f"no {tool}: {done.stderr.strip()}")
    return done.stdout


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    for tool in ("kafka", "s3", "rest-catalog"):
        if not (TOOLS / tool / tool).exists():
            pytest.skip(f"no real servers: ../shared/tools/{tool} is not there")
    for program in ("openssl", "keytool"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here")
    folder = tmp_path_factory.mktemp("stack")
    secrets, certs = folder / "secrets", folder / "certs"
    for made in (secrets, folder / "home"):
        made.mkdir()
    subprocess.run(["sh", ROOT / "deploy" / "certs.sh", certs], capture_output=True, check=True)
    try:
        broker = started("kafka", folder / "kafka", "--sasl", "--tls").strip().removeprefix("kafka://")
        s3 = dict(line.split("=", 1) for line in started("s3", folder / "s3", "--bucket", "another").splitlines())
        client = (folder / "kafka" / "client.properties").read_text()
        (secrets / "broker_password").write_text(re.findall(r"sasl\.password=(.*)", client)[0])
        (secrets / "store_access_key").write_text(s3["AWS_ACCESS_KEY_ID"])
        (secrets / "store_secret_key").write_text(s3["AWS_SECRET_ACCESS_KEY"])
        (secrets / "ca").write_text((certs / "ca.pem").read_text() + (folder / "kafka" / "ca.pem").read_text())
        trust = ["-alias", "store", "-file", certs / "ca.pem", "-keystore", folder / "trust.jks", "-storetype", "JKS"]
        insist = ["keytool", "-importcert", "-noprompt", *trust, "-storepass", "insisted"]
        subprocess.run(insist, capture_output=True, check=True)
        port = int(s3["AWS_ENDPOINT_URL"].rsplit(":", 1)[1])
        with tls_front(port, certs / "store.pem", certs / "store.key") as tls_port:
            catalog = started(
                "rest-catalog",
                folder / "catalog",
                *("--warehouse", environment("catalog", secure=True)["CATALOG_WAREHOUSE"]),
                **{**s3, "AWS_ENDPOINT_URL": f"https://127.0.0.1:{tls_port}"},
                JAVA_TOOL_OPTIONS=f"-Djavax.net.ssl.trustStore={folder}/trust.jks -Djavax.net.ssl.trustStoreType=JKS",
            )
            addresses = {
                "redpanda:9092": broker,
                "https://rustfs:9000": f"https://127.0.0.1:{tls_port}",
                "http://catalog:8181": re.findall(r"ICEBERG_REST_URI=(\S+)", catalog)[0],
            }
            yield Stack(folder / "home", secrets, addresses)
    finally:
        for tool, name in (("rest-catalog", "catalog"), ("s3", "s3"), ("kafka", "kafka")):
            if (folder / name).exists():
                subprocess.run([TOOLS / tool / tool, "wipe", "--dir", folder / name], capture_output=True)


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


def test_a_wrong_password_is_refused_by_the_broker(stack: Stack) -> None:
    (stack.secrets / "wrong").write_text("wrong")
    wrong = "ANIMEVERSE_KAFKA_SASL_PASSWORD=/run/secrets/wrong"
    done = stack.run("producers", "-m", "animeverse", "produce", "--count", "1", ENV_FROM_FILES=wrong)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search("password|credential|authenti", done.stderr.lower()), done.stderr


def test_a_broker_and_a_store_of_another_authority_are_refused(stack: Stack, tmp_path: Path) -> None:
    subprocess.run(["sh", ROOT / "deploy" / "certs.sh", tmp_path / "certs"], capture_output=True, check=True)
    other = str(tmp_path / "certs" / "ca.pem")
    sent = stack.run("producers", "-m", "animeverse", "produce", "--count", "1", ANIMEVERSE_KAFKA_SSL_CA_LOCATION=other)
    assert sent.returncode == 1
    assert "Traceback" not in sent.stderr
    made = stack.run("bucket", str(ROOT / "deploy" / "bucket.py"), SSL_CERT_FILE=other)
    assert made.returncode == 1
    assert "certificate" in made.stderr
