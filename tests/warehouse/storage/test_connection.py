import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from pipelines.errors import AlreadyRunningError
from warehouse.storage.connection import connect

HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def test_a_file_open_in_another_process_is_refused_with_its_pid_and_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "writer.duckdb"
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(AlreadyRunningError, match=rf"PID {other.pid}\)\. End it, then run"):
            connect(file, memory_limit="1GB")
        other.kill()  # it waits for us


def test_a_file_with_another_block_size_can_be_opened(tmp_path: Path) -> None:
    file = tmp_path / "writer.duckdb"
    with duckdb.connect() as earlier:
        earlier.execute(f"attach '{file}' as warehouse (storage_version 'v1.5.0', block_size 32768)")
        earlier.execute("create table warehouse.kept as select 7 as seven")
    with connect(file, memory_limit="1GB") as connection:
        assert connection.execute("from kept").fetchall() == [(7,)]
