"""`animeverse serve` on a home of its own, and what tests ask of it."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from animeverse.serve.processes import descendants
from pipelines.config.settings import load_settings
from pipelines.errors import LakehouseError
from pipelines.operations.status import status

ROOT = Path(__file__).parents[2]


def environment(home: Path) -> dict[str, str]:
    """Nothing of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANIMEVERSE_", "PREFECT_"))}
    (home / "user").mkdir(parents=True, exist_ok=True)
    return {**kept, "ANIMEVERSE_HOME": str(home), "HOME": str(home / "user")}


def eventually(is_so: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


class Served:
    """A running `animeverse serve --no-schedules`, and the producer whose records it takes."""

    def __init__(self, home: Path, producer: "subprocess.Popen[bytes]") -> None:
        self.home, self.producer = home, producer
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.log = (home / "serve.log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "animeverse", "serve", "--port", str(port), "--no-schedules"],
            cwd=ROOT,
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        self.api = f"http://127.0.0.1:{port}/api"
        assert self.process.stdout is not None
        try:
            select.select([self.process.stdout], [], [], 240)
            self.ui = self.process.stdout.readline().decode().strip()
            assert self.ui == f"http://127.0.0.1:{port}", (home / "serve.log").read_text()
            self.deployments = {of["name"]: of for of in self.ask("/deployments/filter", {})}
        except BaseException:
            self.end()
            raise

    def ask(self, path: str, body: Any = None, method: str = "") -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.api + path,
            data,
            {"Content-Type": "application/json"},
            method=method or ("GET" if data is None else "POST"),
        )
        for last in (False, False, False, True):
            try:
                # its SQLite was locked for a minute once, just after the worker had started
                with urllib.request.urlopen(request, timeout=90) as answer:
                    text = answer.read()
                    return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                if error.code != 503 or last:  # its SQLite is locked: not done, and may be asked again
                    raise
                time.sleep(2)
        raise AssertionError("unreachable")

    def run(self, deployment: str, **parameters: Any) -> str:
        """Have a deployment run; the run's id."""
        path = f"/deployments/{self.deployments[deployment]['id']}/create_flow_run"
        return str(self.ask(path, {"parameters": parameters, "state": {"type": "SCHEDULED"}})["id"])

    def state(self, run: str) -> str:
        return str(self.ask(f"/flow_runs/{run}")["state"]["name"])

    def wait_for(self, run: str, *states: str) -> str:
        """The first of these states that the run is in."""
        seen = ""

        def is_there() -> bool:
            nonlocal seen
            seen = self.state(run)
            return seen in states

        try:
            eventually(is_there, f"expected {states}", 300)  # a stuck server takes `serve` two minutes
        except AssertionError as error:
            raise AssertionError(f"{error}; {run} is {seen}\n{self.told()}") from None
        return seen

    def told(self) -> str:
        """What `serve`, the server and the worker said last."""
        logs = [self.home / "serve.log", *(self.home / "prefect").glob("*er.log")]
        return "\n".join(f"{log}:\n{log.read_text(errors='replace')[-4000:]}" for log in logs)

    def message(self, run: str) -> str:
        return str(self.ask(f"/flow_runs/{run}")["state"]["message"])

    def logs(self, run: str) -> list[str]:
        body = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_DESC", "limit": 200}
        return [line["message"] for line in self.ask("/logs/filter", body)]

    def pids(self, run: str) -> list[int]:
        """Processes of a run."""
        return descendants(None, f"PREFECT_HOME={self.home / 'prefect'}", f"PREFECT__FLOW_RUN_ID={run}")

    def pid(self, name: str) -> int | None:
        """Of the `server` or `worker`; None between two of them."""
        modules = {"server": "flows.server", "worker": "prefect worker start"}
        command = ["pgrep", "-P", str(self.process.pid), "-f", "--", f"-m {modules[name]}"]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return int(found) if found else None

    def running_loop(self) -> str:
        """A micro-batch that runs and has the home."""
        body = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "SCHEDULED"]}}}}
        loops = [run for run in self.ask("/flow_runs/filter", body) if "pipeline" in run["tags"]]
        run = loops[0]["id"] if loops else self.run("micro-batch", minutes=20)
        self.wait_for(run, "Running")
        before = self.records()
        eventually(lambda: self.records() > before, "the loop reads nothing")
        return str(run)

    def records(self) -> int:
        """In bronze."""
        try:
            found = status(load_settings(home=self.home))
        except LakehouseError:
            return 0
        return sum(topic.bronze_rows for topic in found.topics.values())

    def end(self) -> float:
        """Ctrl-C; the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
            self.log.close()
            assert self.process.stdout is not None
            self.process.stdout.close()
        return time.monotonic() - began
