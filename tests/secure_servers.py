"""A broker with SASL and TLS, a store behind TLS and a catalog on it: real servers on this machine."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.compose_files import ROOT
from tests.servers import TOOLS, Server
from tests.tls_front import tls_front


@dataclass(frozen=True)
class SecureServers:
    """Addresses and credentials. `authorities` is the file of trusted certificates, `store` the store's variables."""

    broker: str  # host:port
    password: str  # of the broker's user animeverse
    store: dict[str, str]
    endpoint: str  # of the store, https
    catalog: str
    authorities: Path


@contextmanager
def secure_servers(folder: Path, warehouse: str, bucket: str) -> Iterator[SecureServers]:
    """Start all three servers with files in `folder`. Skips the test if they cannot be started."""
    if not (TOOLS / "kafka" / "kafka").exists():
        pytest.skip("no real servers: ../shared/tools/kafka does not exist")
    for program in ("openssl", "keytool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    certs = folder / "certs"
    subprocess.run(["sh", ROOT / "deploy" / "certs.sh", certs], capture_output=True, check=True)
    with ExitStack() as cleanup:
        broker = _broker(folder / "kafka")
        cleanup.callback(_kafka, "wipe", folder / "kafka")
        s3 = Server(TOOLS / "s3" / "s3", folder / "s3", "--bucket", bucket)
        cleanup.callback(s3.wipe)
        client = (folder / "kafka" / "client.properties").read_text()
        authorities = folder / "authorities.pem"
        authorities.write_text((certs / "ca.pem").read_text() + (folder / "kafka" / "ca.pem").read_text())
        trust = ["-alias", "store", "-file", certs / "ca.pem", "-keystore", folder / "trust.jks", "-storetype", "JKS"]
        insist = ["keytool", "-importcert", "-noprompt", *trust, "-storepass", "insisted"]
        subprocess.run(insist, capture_output=True, check=True)
        port = int(s3.lines["AWS_ENDPOINT_URL"].rsplit(":", 1)[1])
        endpoint = (
            f"https://127.0.0.1:{cleanup.enter_context(tls_front(port, certs / 'store.pem', certs / 'store.key'))}"
        )
        catalog = Server(
            TOOLS / "rest-catalog" / "rest-catalog",
            folder / "catalog",
            *("--warehouse", warehouse),
            **{**s3.lines, "AWS_ENDPOINT_URL": endpoint},
            JAVA_TOOL_OPTIONS=f"-Djavax.net.ssl.trustStore={folder}/trust.jks -Djavax.net.ssl.trustStoreType=JKS",
        )
        cleanup.callback(catalog.wipe)
        password = re.findall(r"sasl\.password=(.*)", client)[0]
        yield SecureServers(broker, password, s3.lines, endpoint, catalog.lines["ICEBERG_REST_URI"], authorities)


def _broker(folder: Path) -> str:
    """Start the broker and return its host:port. This tool prints a URL instead of variables."""
    done = _kafka("start", folder, "--port", "0", "--sasl", "--tls")
    if done.returncode:
        pytest.skip(f"no kafka: {done.stderr.strip()}")
    return done.stdout.strip().removeprefix("kafka://")


def _kafka(command: str, folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    line = [TOOLS / "kafka" / "kafka", command, "--dir", folder, *options]
    return subprocess.run(line, capture_output=True, text=True, timeout=500, check=False)
