"""The files that a fresh clone is installed from."""

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, re.MULTILINE))


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[._-]+", "-", found[0]).lower()


def test_every_dependency_is_locked() -> None:
    needed = {_name(one) for one in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]}
    assert needed <= set(PINS)
    assert {"uv", "setuptools"} <= needed


def test_exact_versions_equal_the_lock() -> None:
    for requirement in PROJECT["dependencies"]:
        if "==" in requirement:
            assert PINS[_name(requirement)] == requirement.split("==")[1]


def test_every_locked_package_has_hashes_and_no_url() -> None:
    entries = re.findall(r"^[a-z0-9-]+==.*(?:\n(?: .*|$))+", LOCK + "\n", re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[a-z0-9-]+==", LOCK, re.MULTILINE))
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in LOCK
    assert "index-url" not in LOCK
    assert "find-links" not in LOCK


def test_no_redpanda_client_is_installed() -> None:
    assert "redpanda-client" not in PINS
    assert "confluent-kafka" in PINS


def test_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    command = ["make", "--no-print-directory"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in listed.splitlines()} == targets
