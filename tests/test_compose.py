"""The compose files, read as YAML, and by Compose's own loader if ../shared/tools exists."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.settings import Settings, load_settings
from tests.compose_files import BASE, OURS, ROOT, SECURE, compose, environment, mounted

COMPOSE_CHECK = ROOT.parent / "shared" / "tools" / "compose-check" / "compose-check"
EXAMPLE = ROOT / ".env.example"
MODES = pytest.mark.parametrize("secure", [False, True], ids=["base", "secure"])

Services = dict[str, dict[str, Any]]


def services(secure: bool = False) -> Services:
    found: Services = compose(secure)["services"]
    return found


def runs_on(service: dict[str, Any]) -> bool:
    """Return whether the service runs permanently."""
    return service["restart"] != "no" if "restart" in service else True


@MODES
def test_compose_check_finds_no_error(secure: bool) -> None:
    if not COMPOSE_CHECK.exists():
        pytest.skip("../shared/tools/compose-check does not exist: only the YAML was checked")
    files = ["-f", str(BASE), *(["-f", str(SECURE)] if secure else [])]
    done = subprocess.run([COMPOSE_CHECK, *files, "-env-file", EXAMPLE], capture_output=True, text=True, timeout=300)
    if done.returncode == 2:
        pytest.skip(f"compose-check cannot be built: {done.stderr.strip()}")
    assert done.stdout == f"{len(services())} services, 0 failed, 0 warnings\n"


def test_compose_requires_passwords(tmp_path: Path) -> None:
    needed = {re.fullmatch(r"\$\{(\w+):\?run make secrets\}", line)[1] for line in compose()["x-needed"]}  # type: ignore[index]
    assert needed == {one["environment"] for one in compose()["secrets"].values()}
    assert needed == set(re.findall(r"^(\w+)=run-make-secrets$", EXAMPLE.read_text(), re.MULTILINE))
    assert needed == set(re.findall(r"STACK_\w+", (ROOT / "deploy" / "secrets.sh").read_text()))
    if COMPOSE_CHECK.exists():
        (tmp_path / "empty.env").touch()
        command = [COMPOSE_CHECK, "-f", BASE, "-env-file", tmp_path / "empty.env"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode in (1, 2)
        assert done.returncode == 2 or "required variable STACK_BROKER_PASSWORD is missing a value" in done.stdout


def test_no_service_starts_with_the_example_passwords() -> None:
    found = services()
    assert set(mounted(found["passwords"], "secrets").values()) == set(compose()["secrets"])
    for name in set(found) - {"passwords"}:
        above, seen = [name], set()
        while above:
            seen.add(one := above.pop())
            above += found[one].get("depends_on", {})
        assert "passwords" in seen, name


@pytest.mark.parametrize("text", ["run-make-secrets", "an0therOne"])
def test_the_guard_distinguishes_example_passwords_from_real_ones(text: str, tmp_path: Path) -> None:
    shell, option, command = services()["passwords"]["entrypoint"]
    for number, content in enumerate(["fine", text, "fine"]):
        (tmp_path / str(number)).write_text(content)
    line = command.replace("/run/secrets", str(tmp_path))
    done = subprocess.run([shell, option, line], capture_output=True, text=True)
    assert done.returncode == (1 if text == "run-make-secrets" else 0)
    assert ("make secrets" in done.stderr) == bool(done.returncode)


@MODES
def test_no_file_contains_a_password(secure: bool) -> None:
    for path in (BASE, SECURE):
        text = path.read_text()
        assert not re.search(r"\$\{\w+:?-", text), "a variable with a default"
        assert set(re.findall(r"\$\{(\w+)[^}]*\}", text)) <= {
            one["environment"] for one in compose()["secrets"].values()
        }
        assert not re.search(r"://[^/\s]*:[^/\s]*@", text), "a password in an address"
    for name, service in services(secure).items():
        given = set(mounted(service, "secrets"))
        for variable, value in service.get("environment", {}).items():
            if variable == "ENV_FROM_FILES":
                for pair in value.split():
                    assert pair.split("=")[1] in given, f"{name}: {pair}"
            elif re.search("password|secret|token|access_key", variable.lower()):
                assert variable.endswith("_FILE")
                assert value in given, f"{name}: {variable}"


def test_every_image_is_pinned_to_a_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name, service in services().items():
        repository, _, tag = service["image"].partition(":")
        assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?", tag), service["image"]
        assert repository.startswith("animeverse") == (name in OURS) == ("build" in service)
        assert name not in OURS or tag == version
    bases = re.findall(r"(?m)^FROM (\S+)(?: AS (\S+))?", (ROOT / "Dockerfile").read_text())
    stages = {stage for _, stage in bases}
    assert [base for base, _ in bases if base not in stages] == ["python:3.11.13-slim-bookworm"]


@MODES
def test_ports_are_bound_to_the_local_machine(secure: bool) -> None:
    ports = [port for service in services(secure).values() for port in service.get("ports", [])]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports)


@MODES
def test_every_service_waits_for_healthy_dependencies(secure: bool) -> None:
    found = services(secure)
    for name, service in found.items():
        assert not runs_on(service) or service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_healthy" if runs_on(found[other]) else "service_completed_successfully"
            assert how == {"condition": wanted}, f"{name} on {other}"


def test_the_memory_limits_fit_a_laptop_with_8_gb() -> None:
    limits = {name: service["deploy"]["resources"]["limits"] for name, service in services().items()}
    assert all({"cpus", "memory", "pids"} == set(limit) for limit in limits.values())
    lasting = [name for name, service in services().items() if runs_on(service)]
    assert sum(int(limits[name]["memory"].removesuffix("M")) for name in lasting) <= 6.5 * 1024


@MODES
def test_networks_are_separated(secure: bool) -> None:
    on = {name: set(service.get("networks", [])) for name, service in services(secure).items()}
    members = {network: {name for name in on if network in on[name]} for network in ("broker", "store", "control")}
    assert members == {
        "broker": {"redpanda", "console", "worker", "pipeline", "producers"},
        "store": {"rustfs", "bucket", "catalog", "worker", "pipeline", "jupyter"},
        "control": {"postgres", "prefect-server", "worker"},
    }
    assert not {"catalog", "postgres"} & {name for name, service in services(secure).items() if "ports" in service}


def test_producers_start_only_with_their_profile() -> None:
    assert {name: service["profiles"] for name, service in services().items() if "profiles" in service} == {
        "producers": ["producers"]
    }


@MODES
def test_every_mounted_file_exists_or_is_created_by_make_certs(secure: bool) -> None:
    certificates = (ROOT / "deploy" / "certs.sh").read_text()
    for config in compose(secure)["configs"].values():
        assert (ROOT / config["file"]).is_file()
    for secret in compose(secure)["secrets"].values():
        if "file" in secret:
            folder, name = secret["file"].rsplit("/", 1)
            assert folder == "deploy/certs"
            assert name == "ca.pem" or f"certificate {name.split('.')[0]} " in certificates
    for service in services(secure).values():
        assert set(mounted(service, "secrets").values()) <= set(compose(secure)["secrets"])
        assert set(mounted(service, "configs").values()) <= set(compose(secure)["configs"])


def settings_in(service: str, secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings that `load_settings` reads from the environment of the service's entrypoint."""
    image = dict(re.findall(r"(ANIMEVERSE_\w+)=(\S+)", (ROOT / "Dockerfile").read_text()))
    given = image | environment(service, secure)
    for target, secret in mounted(services(secure)[service], "secrets").items():
        (tmp_path / Path(target).name).write_text(f"the {secret}")
    given = {name: value.replace("/run/secrets", str(tmp_path)) for name, value in given.items()}
    show = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
    command = ["sh", str(ROOT / "deploy" / "with-secrets"), *show]
    done = subprocess.run(
        command, env={"PATH": os.environ["PATH"], **given}, capture_output=True, text=True, check=True
    )
    for name, value in json.loads(done.stdout).items():
        if name.startswith("ANIMEVERSE_"):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)  # ignores a .env in the current folder
    return load_settings()


@MODES
@pytest.mark.usefixtures("without_settings")
@pytest.mark.parametrize("service", ["pipeline", "worker", "jupyter", "bucket"])
def test_the_settings_accept_the_environment_of_compose(
    service: str, secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(service, secure, tmp_path, monkeypatch)
    assert settings.catalog_url == "http://catalog:8181"
    assert settings.lake_root == compose()["services"]["catalog"]["environment"]["CATALOG_WAREHOUSE"]
    assert settings.s3 == {
        "s3.endpoint": "https://rustfs:9000" if secure else "http://rustfs:9000",
        "s3.region": "us-east-1",
        "s3.access-key-id": "the store_access_key",
        "s3.secret-access-key": "the store_secret_key",
    }
    assert settings.home == Path("/data")
    if service in ("pipeline", "worker"):
        assert settings.log_url == "kafka://redpanda:9092"


@MODES
@pytest.mark.parametrize("service", ["pipeline", "worker", "producers"])
def test_every_service_that_uses_the_log_has_its_credentials(
    service: str, secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(service, secure, tmp_path, monkeypatch)
    assert settings.log_url == "kafka://redpanda:9092"
    assert settings.kafka == (
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.username": "animeverse",
            "sasl.password": "the broker_password",
            "ssl.ca.location": str(tmp_path / "ca"),
        }
        if secure
        else {}
    )


def test_every_tls_client_of_the_store_trusts_the_authority() -> None:
    for name, service in services(secure=True).items():
        if environment(name, True).get("ANIMEVERSE_S3_ENDPOINT"):
            assert environment(name, True)["SSL_CERT_FILE"] in mounted(service, "secrets"), name
    assert environment("catalog", True)["STORE_CA"] in mounted(services(secure=True)["catalog"], "secrets")


@pytest.mark.usefixtures("without_settings")
def test_make_secrets_does_not_send_a_local_demo_to_the_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = load_settings()
    subprocess.run(["sh", ROOT / "deploy" / "secrets.sh"], cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / ".env").stat().st_size > 100
    assert load_settings() == before
    assert not re.search(r"(?m)^(ANIMEVERSE|AWS|PREFECT|COMPOSE)_", (tmp_path / ".env").read_text())


def test_the_docs_list_every_image_as_not_pulled_in_tests() -> None:
    text = (ROOT / "docs" / "compose.md").read_text()
    foreign = {service["image"] for name, service in services().items() if name not in OURS}
    foreign |= set(re.findall(r"(?m)^FROM (\S+:\S+)", (ROOT / "Dockerfile").read_text()))
    assert set(re.findall(r"`([a-z/-]+:v?[0-9][^`\s]*)`", text.split("Not run by anybody")[1])) == foreign
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / "docs" / target).exists(), target
    assert set(re.findall(r"^\| `([a-z-]+)`(?:, `([a-z-]+)`)? \|", text, re.MULTILINE)) == {
        *((name, "") for name in set(services()) - {"prefect-server", "worker"}),
        ("prefect-server", "worker"),
    }
