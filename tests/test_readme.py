"""The README's commands exist, and CI runs its two commands on a clean checkout."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]


def test_the_first_block_has_exactly_the_two_commands() -> None:
    assert [line.split("#")[0].strip() for line in BLOCKS[0].splitlines()] == ["make demo", "make test"]


def test_ci_runs_the_two_commands_and_then_the_slow_tests() -> None:
    steps = re.findall(r"^step (make .*)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert [" ".join(shlex.split(step)[:2]) for step in steps] == [
        "make demo",
        "make test",
        "make slow",
    ]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make ")])
def test_a_make_command_of_the_readme_is_a_target_that_help_lists(command: str) -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"  {command.split('#')[0].strip()} " in listed


@pytest.mark.parametrize("command", [command for command in COMMANDS if "animeverse " in command])
def test_an_animeverse_command_of_the_readme_is_valid(command: str) -> None:
    words = shlex.split(command)
    assert words[0] == ".venv/bin/animeverse"
    options = [word for word in words[2:] if word.startswith("--")]
    help_text = subprocess.run(
        [sys.executable, "-m", "animeverse", words[1], "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert all(option in help_text for option in options)


def test_every_link_has_a_target() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_it_fits_a_screen_and_names_the_client_for_redpanda() -> None:
    assert len(README.splitlines()) <= 70
    assert "redpanda-client" in README
    assert "confluent-kafka" in README
