"""`animeverse serve` on a home of its own, with helpers for tests."""

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
    """Return an environment without settings of the user who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANIMEVERSE_", "PREFECT_"))}
    (home / "user").mkdir(parents=True, exist_ok=True)
    return {**kept, "ANIMEVERSE_HOME": str(home), "HOME": str(home / "user")}


def eventually(condition: Callable[[], bool], message: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.3)


class Served:
    """A running `animeverse serve --no-schedules`, and the producer whose records it reads."""

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
            self.deployments = {
                deployment["name"]: deployment for deployment in self.request("/deployments/filter", {})
            }
        except BaseException:
            self.end()
            raise

    def request(self, path: str, body: Any = None, method: str = "") -> Any:
        data = None if body is None else json.dumps(body).encode()
        http_request = urllib.request.Request(
            self.api + path,
            data,
            {"Content-Type": "application/json"},
            method=method or ("GET" if data is None else "POST"),
        )
        for is_last in (False, False, False, True):
            try:
                # SQLite has been locked for a minute after the start of the worker
                with urllib.request.urlopen(http_request, timeout=90) as response:
                    text = response.read()
                    return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                if error.code != 503 or is_last:  # SQLite is locked: the request had no effect
                    raise
                time.sleep(2)
        raise AssertionError("unreachable")

    def run(self, deployment: str, **parameters: Any) -> str:
        """Start a deployment and return the id of the run."""
        path = f"/deployments/{self.deployments[deployment]['id']}/create_flow_run"
        return str(self.request(path, {"parameters": parameters, "state": {"type": "SCHEDULED"}})["id"])

    def state(self, run: str) -> str:
        return str(self.request(f"/flow_runs/{run}")["state"]["name"])

    def wait_for(self, run: str, *states: str) -> str:
        """Wait until the run is in one of these states, and return it."""
        state = ""

        def is_reached() -> bool:
            nonlocal state
            state = self.state(run)
            return state in states

        try:
            eventually(is_reached, f"expected {states}", 300)  # `serve` needs two minutes to restart a stuck server
        except AssertionError as error:
            raise AssertionError(f"{error}; {run} is {state}\n{self.log_tail()}") from None
        return state

    def log_tail(self) -> str:
        """Return the end of the logs of `serve`, the server and the worker."""
        logs = [self.home / "serve.log", *(self.home / "prefect").glob("*er.log")]
        return "\n".join(f"{log}:\n{log.read_text(errors='replace')[-4000:]}" for log in logs)

    def message(self, run: str) -> str:
        return str(self.request(f"/flow_runs/{run}")["state"]["message"])

    def logs(self, run: str) -> list[str]:
        body = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_DESC", "limit": 200}
        return [line["message"] for line in self.request("/logs/filter", body)]

    def pids(self, run: str) -> list[int]:
        """Return the processes of a run."""
        return descendants(None, f"PREFECT_HOME={self.home / 'prefect'}", f"PREFECT__FLOW_RUN_ID={run}")

    def pid(self, name: str) -> int | None:
        """Return the process id of the `server` or `worker`; None during a restart."""
        modules = {"server": "flows.server", "worker": "prefect worker start"}
        command = ["pgrep", "-P", str(self.process.pid), "-f", "--", f"-m {modules[name]}"]
        output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return int(output) if output else None

    def running_loop(self) -> str:
        """Return the id of a micro-batch run that writes the home, started if necessary."""
        body = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "SCHEDULED"]}}}}
        loops = [run for run in self.request("/flow_runs/filter", body) if "pipeline" in run["tags"]]
        run = loops[0]["id"] if loops else self.run("micro-batch", minutes=20)
        self.wait_for(run, "Running")
        before = self.records()
        eventually(lambda: self.records() > before, "the loop reads no records")
        return str(run)

    def records(self) -> int:
        """Return the number of records in bronze."""
        try:
            topics = status(load_settings(home=self.home)).topics
        except LakehouseError:
            return 0
        return sum(topic.bronze_rows for topic in topics.values())

    def end(self) -> float:
        """Send Ctrl-C and return the seconds until the end."""
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
