"""A broker with SASL and TLS, a store behind TLS and a catalog over it: real servers, all on this machine."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.compose_files import ROOT
from tests.pipelines.servers import TOOLS
from tests.tls_front import tls_front


@dataclass(frozen=True)
class SecureServers:
    """Where they are and what opens them. `authorities` is the file of certificates to trust, `store` its variables."""

    broker: str  # host:port
    password: str  # of the broker's user animeverse
    store: dict[str, str]
    endpoint: str  # of the store, https
    catalog: str
    authorities: Path


@contextmanager
def secure_servers(folder: Path, warehouse: str, bucket: str) -> Iterator[SecureServers]:
    """All three in a folder of their own; the test is skipped where they cannot be."""
    for tool in ("kafka", "s3", "rest-catalog"):
        if not (TOOLS / tool / tool).exists():
            pytest.skip(f"no real servers: ../shared/tools/{tool} is not there")
    for program in ("openssl", "keytool"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here")
    certs = folder / "certs"
    subprocess.run(["sh", ROOT / "deploy" / "certs.sh", certs], capture_output=True, check=True)
    try:
        broker = _started("kafka", folder / "kafka", "--sasl", "--tls").strip().removeprefix("kafka://")
        store = dict(line.split("=", 1) for line in _started("s3", folder / "s3", "--bucket", bucket).splitlines())
        client = (folder / "kafka" / "client.properties").read_text()
        authorities = folder / "authorities.pem"
        authorities.write_text((certs / "ca.pem").read_text() + (folder / "kafka" / "ca.pem").read_text())
        trust = ["-alias", "store", "-file", certs / "ca.pem", "-keystore", folder / "trust.jks", "-storetype", "JKS"]
        insist = ["keytool", "-importcert", "-noprompt", *trust, "-storepass", "insisted"]
        subprocess.run(insist, capture_output=True, check=True)
        port = int(store["AWS_ENDPOINT_URL"].rsplit(":", 1)[1])
        with tls_front(port, certs / "store.pem", certs / "store.key") as tls_port:
            endpoint = f"https://127.0.0.1:{tls_port}"
            catalog = _started(
                "rest-catalog",
                folder / "catalog",
                *("--warehouse", warehouse),
                **{**store, "AWS_ENDPOINT_URL": endpoint},
                JAVA_TOOL_OPTIONS=f"-Djavax.net.ssl.trustStore={folder}/trust.jks -Djavax.net.ssl.trustStoreType=JKS",
            )
            yield SecureServers(
                broker,
                re.findall(r"sasl\.password=(.*)", client)[0],
                store,
                endpoint,
                re.findall(r"ICEBERG_REST_URI=(\S+)", catalog)[0],
                authorities,
            )
    finally:
        for tool, name in (("rest-catalog", "catalog"), ("s3", "s3"), ("kafka", "kafka")):
            if (folder / name).exists():
                subprocess.run([TOOLS / tool / tool, "wipe", "--dir", folder / name], capture_output=True)


def _started(tool: str, folder: Path, *arguments: str, **environment: str) -> str:
    command = [TOOLS / tool / tool, "start", "--dir", folder, "--port", "0", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=500)
    if done.returncode:
        pytest.skip(f"no {tool}: {done.stderr.strip()}")
    return done.stdout
