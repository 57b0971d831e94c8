import json
import os
import re
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
import typer

from animeverse.cli.main import app
from pipelines.config.settings import Settings

ROOT = Path(__file__).parents[3]
PLANNED = ("quality", "dashboard")  # not commands yet


def _call(*words: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "animeverse", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60)


def _names(group: typer.Typer) -> list[str]:
    return [
        command.name or (command.callback.__name__ if command.callback else "") for command in group.registered_commands
    ]


def _commands() -> list[str]:
    """Names of all commands; those of a group follow its name."""
    groups = [(str(group.name), group.typer_instance) for group in app.registered_groups]
    return [*_names(app), *(f"{name} {sub}" for name, group in groups if group for sub in _names(group))]


def test_help_lists_exactly_the_commands_that_exist() -> None:
    output = _call("--help").stdout
    assert all(f"  {name.split()[0]} " in output for name in _commands())
    assert not any(f"  {name} " in output for name in PLANNED)


@pytest.mark.parametrize("name", _commands())
def test_the_examples_in_the_help_use_existing_options(name: str) -> None:
    output = _call(*name.split(), "--help")
    assert output.returncode == 0
    examples = re.findall(rf"^ +animeverse {name}(.*)$", output.stdout, re.MULTILINE)
    assert examples
    for option in re.findall(r"(--[a-z-]+)", " ".join(examples)):
        assert re.search(rf"{option}[ ,/]", output.stdout.split("Examples:")[0]), option


def test_help_lists_the_commands_in_the_order_of_use() -> None:
    listed = re.findall(r"^  ([a-z]+)  ", _call("--help").stdout.split("Commands:")[1], re.MULTILINE)
    assert listed[:3] == ["demo", "produce", "run"]
    assert listed[-3:] == ["contracts", "trace", "quarantine"]


def test_data_faults_are_given_by_faults_or_dirt() -> None:
    assert "--faults, --dirt" in _call("produce", "--help").stdout


def test_help_is_fast_and_imports_nothing_heavy() -> None:
    heavy = "{'polars', 'pyarrow', 'duckdb', 'pyiceberg', 'pydantic', 'dataframely', 'rich', 'numpy'}"
    code = f"import sys, animeverse.cli.main; print({heavy} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        == "set()\n"
    )
    began = time.perf_counter()
    _call("--help")
    assert time.perf_counter() - began < 3  # 0.1 s on an idle machine


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("run", "platinum"),
        ("run", "--batch-size", "0"),
        ("query",),
        ("query", "select 1", "--format", "xml"),
        ("demo", "--events", "many"),
        ("contracts", "--topic", "pos-transaction"),
    ],
)
def test_wrong_use_exits_with_2_and_a_message_on_stderr(words: tuple[str, ...], tmp_path: Path) -> None:
    ended = _call(*words, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.strip()
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("words", [("status",), ("verify",), ("reconcile",), ("query", "select 1"), ("sql",)])
def test_reading_without_a_lakehouse_suggests_the_demo(words: tuple[str, ...], tmp_path: Path) -> None:
    ended = _call(*words, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "animeverse demo" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_setting_is_named_without_a_traceback(tmp_path: Path) -> None:
    ended = _call("status", cwd=tmp_path, ANIMEVERSE_BATCHSIZE="7")
    assert ended.returncode == 2
    assert ended.stderr == "animeverse: ANIMEVERSE_BATCHSIZE: unknown setting; did you mean ANIMEVERSE_BATCH_SIZE?\n"


def test_a_query_prints_rows_in_the_given_format(published: Settings) -> None:
    home = f"--home={published.home}"
    sql = "select n, share, null as nothing from gold.numbers where n > 0"
    printed = _call(home, "query", sql, "--format", "json")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert json.loads(printed.stdout, parse_float=Decimal) == [
        {"n": 1, "share": Decimal("0.3333"), "nothing": None},
        {"n": 2, "share": Decimal("0.6667"), "nothing": None},
    ]
    assert _call(home, "query", sql, "--format", "csv").stdout == "n,share,nothing\n1,0.3333,\n2,0.6667,\n"
    assert _call(home, "query", sql).stdout.splitlines()[1].split() == ["1", "0.3333", "NULL"]
    assert _call(home, "query", "from gold.numbers where false", "--format", "json").stdout == "[]\n"


def test_wrong_sql_and_writes_exit_with_2(published: Settings) -> None:
    for wrong in ("selec 1", "drop table gold.numbers", "from gold.nothing"):
        ended = _call(f"--home={published.home}", "query", wrong)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "Traceback" not in ended.stderr


def test_statements_from_a_pipe_run_up_to_the_first_that_fails(published: Settings) -> None:
    statements = (
        "select 1\n  as one;\nselect 2 as a; select ';' as b;\n.format csv\nselect 3 as c;\nselec;\nselect 4 as d;\n"
    )
    command = [sys.executable, "-m", "animeverse", f"--home={published.home}", "sql", "--format", "json"]
    ended = subprocess.run(command, cwd=ROOT, input=statements, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert ended.stdout == '[{"one": 1}]\n[{"a": 2}]\n[{"b": ";"}]\nc\n3\n'
    assert "syntax error" in ended.stderr


def test_a_reader_that_closes_the_pipe_early_causes_no_error(published: Settings) -> None:
    command = (
        f"{sys.executable} -m animeverse --home={published.home} query 'from range(200000)' --format csv | head -1"
    )
    ended = subprocess.run(
        ["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.stdout, ended.stderr) == ("range\n", "")


def test_a_long_result_is_written_completely_before_the_process_ends(published: Settings) -> None:
    ended = _call(f"--home={published.home}", "query", "select range as n from range(200000)", "--format=csv")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "n\n" + "".join(f"{number}\n" for number in range(200_000))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full exists on Linux only")
@pytest.mark.parametrize("rows", [1, 200_000])
def test_a_result_that_cannot_be_written_is_an_error(published: Settings, rows: int) -> None:
    """A short result fails when the process ends, a long one before."""
    command = [sys.executable, "-m", "animeverse", f"--home={published.home}", "query", f"from range({rows})"]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*command, "--format=csv"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert ended.returncode == 1
    assert "No space left" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("sql", "code"), [("select 1", 0), ("selec 1", 2)])
def test_a_closed_stdout_changes_no_exit_code(published: Settings, sql: str, code: int) -> None:
    command = f"{sys.executable} -m animeverse --home={published.home} query '{sql}' >&-"
    ended = subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=60)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr


def test_exit_handlers_of_tracers_run(published: Settings, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import atexit\natexit.register(lambda: print('watched'))\n")
    ended = _call(f"--home={published.home}", "query", "select 1 as one", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert (ended.returncode, ended.stdout) == (0, "one\n  1\nwatched\n")


def test_contracts_are_printed_as_json_schema_and_as_tables(tmp_path: Path) -> None:
    one = json.loads(_call("contracts", "--topic", "cinema-sales", "--format", "json-schema", cwd=tmp_path).stdout)
    assert one["title"] == "cinema-sales"
    every = json.loads(_call("contracts", "--format", "json-schema", cwd=tmp_path).stdout)
    assert every["cinema-sales"] == one
    assert len(every) == 7
    assert "items.unit_price" in _call("contracts", cwd=tmp_path).stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_text_that_stdout_cannot_encode_is_escaped(encoding: str, published: Settings) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    words = [
        sys.executable,
        "-m",
        "animeverse",
        "--home",
        str(published.home),
        "query",
        "select '日' as x",
        "--format",
        "csv",
    ]
    ended = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, b"x\n\\u65e5\n")


def test_an_argument_that_is_not_utf_8_is_wrong_use() -> None:
    words: list[str | bytes] = [sys.executable, "-m", "animeverse", "trace", b"\xff"]
    ended = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"not valid UTF-8" in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_a_deleted_working_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    code = f"cd {folder} && rmdir {folder} && exec {sys.executable} -m animeverse --home {tmp_path} status"
    ended = subprocess.run(
        ["sh", "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == "animeverse: the working folder does not exist any more: change to another folder\n"
