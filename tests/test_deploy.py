"""The scripts of the containers and of make, run as processes with fakes of the images' programs."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from pipelines.home_lock import home_lock
from tests.compose_files import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LOCK = (ROOT / "requirements.lock").read_text()


def locked(*arguments: str) -> str:
    command = [sys.executable, DEPLOY / "locked.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def names(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))


def pins(lock: str) -> set[tuple[str, str]]:
    return set(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))


def test_the_image_has_the_dependencies_of_the_pipeline_and_no_development_tools() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.match(r"[a-z0-9-]+", one.lower())[0] for one in project["dependencies"]}  # type: ignore[index]
    runtime = locked()
    assert needed <= names(runtime)
    assert not names(runtime) & {"pytest", "mypy", "ruff", "uv", "hypothesis", "setuptools", "jupyterlab"}
    assert pins(runtime) <= pins(LOCK)
    assert names(locked("--only", "setuptools")) == {"setuptools"}
    for lock in (runtime, locked("--extra", "notebooks")):
        blocks = re.split(r"(?m)^(?=[a-z0-9])", lock)[1:]
        assert all("--hash=sha256:" in block for block in blocks)


def test_an_unlocked_package_stops_the_build() -> None:
    command = [sys.executable, DEPLOY / "locked.py", "--only", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "nowhere" in done.stderr


def test_the_notebooks_image_has_the_same_versions_and_the_notebook_dependencies() -> None:
    notebooks = locked("--extra", "notebooks")
    assert pins(locked()) <= pins(notebooks) <= pins(LOCK)
    assert {"jupyterlab", "ipykernel", "matplotlib", "scikit-learn", "pandas"} <= names(notebooks)
    assert not names(notebooks) & {"pytest", "mypy", "ruff", "uv", "hypothesis"}


def test_the_dockerfile_installs_by_hash_and_runs_unprivileged_without_tools() -> None:
    text = DOCKERFILE.replace("\\\n", " ")
    for install in re.findall(r"pip (?:--python \S+ )?install ([^&\n]*)", text):
        assert "--require-hashes" in install or "--no-index" in install
    stages = dict(re.findall(r"(?ms)^(FROM \S+(?: AS \S+)?)$(.*?)(?=^FROM|\Z)", text))
    for last in ("FROM bare AS runtime", "FROM bare AS notebooks"):
        assert not re.search(r"(?m)^(RUN|USER|ENTRYPOINT)", stages[last])
    bare = stages["FROM python AS bare"]
    assert "pip uninstall --yes" in bare
    assert re.search(r"(?m)^USER 10001:10001$", bare)
    assert "apt-get" not in text


def test_every_file_the_dockerfile_copies_is_in_the_build_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = [
        line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY") and "--from" not in line
    ]
    for source in (one for line in copied for one in line if not one.startswith("--")):
        assert source.replace("[", "").replace("]", "").split("/")[0] in allowed, source
        assert "[" in source or (ROOT / source).exists(), source
    assert "deploy/certs" in ignored
    assert not {".env", "data", ".git"} & allowed


def test_the_entrypoint_passes_secrets_to_the_command_only(tmp_path: Path) -> None:
    (tmp_path / "one").write_text('it\'s $a "secret"\n')
    environment = {"PATH": os.environ["PATH"], "ENV_FROM_FILES": f"ONE={tmp_path}/one"}
    show = [sys.executable, "-c", "import os, sys; print(os.environ['ONE'], sys.argv[1:])", "a b", "*"]
    done = subprocess.run(["sh", DEPLOY / "with-secrets", *show], env=environment, capture_output=True, text=True)
    assert done.stdout == "it's $a \"secret\" ['a b', '*']\n"


@pytest.mark.parametrize("content", [None, ""])
def test_the_entrypoint_rejects_a_missing_or_empty_secret(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "one").write_text(content)
    environment = {"PATH": os.environ["PATH"], "ENV_FROM_FILES": f"ONE={tmp_path}/one"}
    done = subprocess.run(["sh", DEPLOY / "with-secrets", "true"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "make secrets" in done.stderr


def stand_in(folder: Path, program: str) -> None:
    """Create a program that prints its arguments and the environment."""
    path = folder / program
    path.write_text('#!/bin/sh\nprintf "argument %s\\n" "$@"\nenv\n')
    path.chmod(0o755)


def run_script(script: Path, folder: Path, **environment: str) -> str:
    """Run an entry script with its folders moved under `folder` and return what the fake program printed."""
    (folder / "tmp").mkdir(exist_ok=True)
    text = re.sub("/(run/secrets|etc/stack|tmp)/", rf"{folder}/\1/", script.read_text())
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-c", text], env={"PATH": path, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_broker_syncs_to_disk_and_has_its_user(tmp_path: Path) -> None:
    stand_in(tmp_path, "rpk")
    for name in ("run/secrets", "etc/stack"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "run/secrets/broker_password").write_text("abc")
    for name in ("redpanda.yaml", "bootstrap.yaml"):
        shutil.copy(DEPLOY / "redpanda" / name, tmp_path / "etc/stack")
    printed = run_script(DEPLOY / "redpanda" / "redpanda.sh", tmp_path)
    assert "RP_BOOTSTRAP_USER=animeverse:abc:SCRAM-SHA-256\n" in printed
    assert "argument --unsafe-bypass-fsync=false\n" in printed
    assert "dev-container" not in printed
    bootstrap = yaml.safe_load((tmp_path / "tmp/redpanda/.bootstrap.yaml").read_text())
    assert bootstrap["superusers"] == ["animeverse"]
    assert bootstrap["log_retention_ms"] == -1
    assert bootstrap["write_caching_default"] == "disabled"


def test_the_secure_broker_is_the_same_broker_with_sasl_and_tls_on_every_listener() -> None:
    plain, secure = (
        yaml.safe_load((DEPLOY / "redpanda" / name).read_text())["redpanda"]
        for name in ("redpanda.yaml", "redpanda.secure.yaml")
    )
    assert [one.pop("authentication_method") for one in secure["kafka_api"]] == ["sasl", "sasl"]
    tls = secure.pop("kafka_api_tls")
    assert [one["name"] for one in tls if one["enabled"]] == [one["name"] for one in secure["kafka_api"]]
    assert secure == plain


def test_the_catalog_has_the_keys_of_the_store_and_trusts_one_authority(tmp_path: Path) -> None:
    stand_in(tmp_path, "java")
    stand_in(tmp_path, "keytool")
    (tmp_path / "run/secrets").mkdir(parents=True)
    for name in ("store_access_key", "store_secret_key", "ca"):
        (tmp_path / "run/secrets" / name).write_text(f"the {name}")
    script = DEPLOY / "catalog" / "catalog.sh"
    printed = run_script(script, tmp_path)
    assert "AWS_ACCESS_KEY_ID=the store_access_key\n" in printed
    assert "AWS_SECRET_ACCESS_KEY=the store_secret_key\n" in printed
    assert "trustStore" not in printed
    assert f"-Djavax.net.ssl.trustStore={tmp_path}/tmp/trust.jks\n" in run_script(script, tmp_path, STORE_CA="/ca")


def test_make_secrets_adds_missing_passwords_and_changes_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("MINE=1\nSTACK_JUPYTER_TOKEN=chosen\n" + (ROOT / ".env.example").read_text().split("STACK_JUP")[0])
    command = ["sh", DEPLOY / "secrets.sh", file]
    subprocess.run(command, capture_output=True, check=True)
    first = file.read_text()
    assert {"MINE=1", "STACK_JUPYTER_TOKEN=chosen"} <= set(first.splitlines())
    assert "run-make-secrets" not in first
    values = re.findall(r"(?m)^STACK_\w+=([0-9a-f]{48})$", first)
    assert len(set(values)) == len(values) == 4
    assert file.stat().st_mode & 0o777 == 0o600
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert file.read_text() == first
    assert not any(value in again.stderr + again.stdout for value in values)


def test_make_certs_creates_certificates_valid_for_the_service_names(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = ["sh", DEPLOY / "certs.sh", tmp_path / "certs"]
    subprocess.run(command, capture_output=True, check=True)
    for name, host in (("broker", "redpanda"), ("store", "rustfs")):
        for known in (["-verify_hostname", host], ["-verify_hostname", "localhost"], ["-verify_ip", "127.0.0.1"]):
            check = ["openssl", "verify", "-CAfile", "ca.pem", "-purpose", "sslserver", *known, f"{name}.pem"]
            subprocess.run(check, cwd=tmp_path / "certs", capture_output=True, check=True)
    assert (tmp_path / "certs").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "certs" / "ca.key").stat().st_mode & 0o777 == 0o600
    before = {path.name: path.read_bytes() for path in (tmp_path / "certs").iterdir()}
    subprocess.run(command, capture_output=True, check=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "certs").iterdir()} == before


def healthy(*arguments: str, **environment: str) -> bool:
    command = [sys.executable, DEPLOY / "health.py", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode == 0


class Health(BaseHTTPRequestHandler):
    """A server that is healthy at /healthy only."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthy" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_health_of_a_server_is_its_response(port: int) -> None:
    assert healthy("http", f"http://127.0.0.1:{port}/healthy")
    assert not healthy("http", f"http://127.0.0.1:{port}/unhealthy")
    assert healthy("tcp", f"127.0.0.1:{port}")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert not healthy("tcp", f"127.0.0.1:{unused.getsockname()[1]}")


def test_the_writer_is_healthy_while_it_holds_the_lock(tmp_path: Path) -> None:
    if not Path("/proc/locks").exists():
        pytest.skip("/proc/locks does not exist on this system; it does in containers")
    assert not healthy("writer", ANIMEVERSE_HOME=str(tmp_path))
    with home_lock(tmp_path):
        assert healthy("writer", ANIMEVERSE_HOME=str(tmp_path))
    assert not healthy("writer", ANIMEVERSE_HOME=str(tmp_path))
