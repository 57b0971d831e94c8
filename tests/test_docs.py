"""Everything that the docs name exists: links, commands, settings, tables, rules, files. Read-only commands run."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from animeverse.cli.main import app
from pipelines import errors
from pipelines.config.sources import BY_TOPIC, NOT_OURS, PREFIX

from .docs_text import (
    PAGES,
    ROOT,
    SOURCES,
    anchors,
    commands,
    exists,
    links,
    module_exists,
    name,
    named_files,
    named_folders,
    named_modules,
    prose,
    shell_lines,
)

PLACEHOLDERS = re.compile(r"[A-Z_]{1,}|…|\.\.\.")
FAULT_POINTS = {
    "files_written",
    "committed",
    "worked_out",
    "refreshed",
    "copied",
    "published",
}  # reliability.md names steps as silver.pos_items.committed
_NAMED = re.compile(r"(?<![\w.])(silver|gold|marts|ops)\.([a-z][a-z0-9_]+)(?:\.([a-z_]+))?")
CITING = [*PAGES, *SOURCES]
FILES_OF_USERS = {"animeverse.toml"}
FOLDERS_OF_USERS = {"landing", "_done", "prefect"}  # folders of a home
# Stored names that look like modules: keys of snapshot summaries, and events sent to Prefect.
STORED_NAMES = {
    *re.findall(r"`(animeverse\.[\w.-]+)`", (ROOT / "docs" / "commit_protocol.md").read_text(encoding="utf-8")),
    "animeverse.freshness.kept",
    "animeverse.promise.broken",
    "animeverse.toml",
}
READ_ONLY = ("status", "verify", "reconcile", "query", "contracts")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_and_anchor_has_a_target(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_the_index_links_every_page() -> None:
    linked = {(ROOT / "docs" / target.partition("#")[0]).resolve() for target in links(ROOT / "docs" / "README.md")}
    assert {page for page in PAGES if page.parent.is_relative_to(ROOT / "docs")} - linked == {
        ROOT / "docs" / "README.md"
    }


@pytest.mark.parametrize(
    ("page", "words"),
    [(page, words) for page in PAGES for words in commands(page)],
    ids=lambda value: name(value) if isinstance(value, Path) else " ".join(value)[:60],
)
def test_every_command_in_the_docs_is_valid(page: Path, words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    rest = words[2:] if words[:1] == ["--home"] else list(words)
    while rest and not PLACEHOLDERS.fullmatch(rest[0]) and (inner := getattr(command, "commands", None)) is not None:
        assert rest[0] in inner, f"{name(page)}: animeverse {' '.join(words)}: no command {rest[0]}"
        command, rest = inner[rest[0]], rest[1:]
    known = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
    used = {word.split("=")[0] for word in rest if word.startswith("--")}
    assert used <= known | {"--help"}, f"{name(page)}: animeverse {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_in_the_docs_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = [shlex.split(line, comments=True) for line in shell_lines(page) if line.startswith("make ")]
    shown += [quoted.split() for quoted in re.findall(r"`(make [^`]*)`", prose(page))]
    for words in shown:
        target = next((word for word in words[1:] if "=" not in word), None)
        assert target in targets | {None}, f"{name(page)}: {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    known = set(re.findall(r"ANIMEVERSE_[A-Z0-9_]+", (ROOT / ".env.example").read_text()))
    for setting in re.findall(r"ANIMEVERSE_[A-Z0-9_]*[A-Z0-9]", page.read_text(encoding="utf-8")):
        if setting.startswith((*NOT_OURS, "ANIMEVERSE_KAFKA")):
            continue
        base, _, topic = setting.partition("__")
        assert base in known or any(one.startswith(f"{base}_") for one in known), f"{name(page)}: {setting}"
        assert not topic or base.removeprefix(PREFIX).lower() in BY_TOPIC, f"{name(page)}: {setting}"


@cache
def described() -> Mapping[str, frozenset[str]]:
    """Return tables and their columns from the data dictionary."""
    found: dict[str, set[str]] = {}
    columns: set[str] = set()
    for line in (ROOT / "docs" / "data_model.md").read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"### ((?:silver|gold|marts|ops|bronze)\.\S+)", line):
            columns = found.setdefault(heading[1], set())
        elif column := re.match(r"\| `([^`]+)` \|", line):
            columns.add(column[1])
    return {table: frozenset(names) for table, names in found.items()}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_table_and_column_that_is_named_exists(page: Path) -> None:
    tables = described()
    for quoted in re.findall(r"`([^`\n]+)`", prose(page)):
        for schema, table, column in _NAMED.findall(quoted):
            full = f"{schema}.{table}"
            if {table, column} & FAULT_POINTS or table == "py":
                continue
            assert full in tables, f"{name(page)}: {quoted}"
            assert not column or column in tables[full], f"{name(page)}: {quoted}"


def test_the_runbook_covers_every_error() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.LakehouseError)]
    assert [one.__name__ for one in classes if one.__name__ not in runbook] == []


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a few hundred events, processed through all layers."""
    home = tmp_path_factory.mktemp("docs") / "home"
    for words in (["produce", "--events", "400", "--days", "3", "--seed", "1"], ["run"]):
        ran(home, words)
    return home


def ran(home: Path, words: list[str]) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    command = [sys.executable, "-m", "animeverse", "--home", str(home), *words]
    done = subprocess.run(command, env=clean, cwd=home.parent, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_read_only_commands_run(tiny: Path) -> None:
    shown = {
        tuple(words) for page in PAGES if "docs" in page.parts or page.name == "README.md" for words in commands(page)
    }
    read_only = [
        words
        for words in sorted(shown)
        if (words[0] in READ_ONLY or words[:2] == ("quarantine", "list"))
        and not any(map(PLACEHOLDERS.fullmatch, words))
    ]
    assert len(read_only) > 5
    for words in read_only:
        if len(words) > 1 and "ops.log_gaps" in words[1]:
            continue  # the first gap creates the table
        if words != ("query",):
            ran(tiny, list(words))


def test_every_rule_that_is_cited_is_published() -> None:
    published = anchors(ROOT / "docs" / "rules.md")
    cited = {
        f"{name(path)}: R{number}"
        for path in [*PAGES, *SOURCES]
        for number in re.findall(r"\bR([0-9]{1,2})\b", path.read_text("utf-8"))
        if f"r{number}" not in published
    }
    assert not cited, "\n".join(sorted(cited))


def test_every_file_that_is_named_exists() -> None:
    missing = {f"{name(path)}: {file}" for path in CITING for file in named_files(path) if not exists(file, path)}
    missing = {entry for entry in missing if entry.rpartition(": ")[2] not in FILES_OF_USERS}
    assert not missing, "\n".join(sorted(missing))


def test_every_folder_that_is_named_exists() -> None:
    missing = {
        f"{name(path)}: {folder}"
        for path in CITING
        for folder in named_folders(path)
        if folder.split("/")[0] not in FOLDERS_OF_USERS and not exists(folder, path)
    }
    assert not missing, "\n".join(sorted(missing))


def test_every_module_that_is_named_exists() -> None:
    missing = {
        f"{name(path)}: {module}"
        for path in CITING
        for module in named_modules(path)
        if module not in STORED_NAMES and not module_exists(module)
    }
    assert not missing, "\n".join(sorted(missing))
