"""The deployments of prefect.yaml on a real server with a real worker, as `animeverse serve` starts them."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from animeverse.serve.processes import descendants
from animeverse.services.run import run
from pipelines.config.settings import load_settings
from pipelines.microbatch.handover import Ended
from pipelines.operations.verify import verify
from tests.flows.served import ROOT, Served, environment, eventually
from warehouse.verify import gold_checks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc"),
]
RATE = 100


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server, a worker, all deployments and a producer."""
    home = tmp_path_factory.mktemp("served")
    command = [sys.executable, "-m", "animeverse", "produce", "--rate", str(RATE), "--seed", "5"]
    producer = subprocess.Popen(command, cwd=ROOT, env=environment(home), stderr=subprocess.DEVNULL)
    try:
        served = Served(home, producer)
        try:
            yield served
        finally:
            if served.process.poll() is None:
                served.end()
    finally:
        producer.kill()
        producer.wait()


def test_every_deployment_of_prefect_yaml_exists_with_a_description(served: Served) -> None:
    assert set(served.deployments) == {
        *("micro-batch", "ingest-landing", "refresh-gold", "maintain-lake", "verify-promises"),
        *("reconcile-late-data", "rebuild", "produce-world", "notify"),
    }
    for name, deployment in served.deployments.items():
        assert deployment["description"], name
        assert "animeverse" in deployment["tags"], name
        assert deployment["work_pool_name"] == "animeverse", name
        for parameter, schema in deployment["parameter_openapi_schema"]["properties"].items():
            assert schema.get("description"), f"{name}: {parameter}"
        if name != "notify":
            assert deployment["global_concurrency_limit"]["limit"] == (2 if name == "micro-batch" else 1)
            assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    schedules = {
        name: [schedule["schedule"] for schedule in deployment["schedules"]]
        for name, deployment in served.deployments.items()
    }
    assert schedules["micro-batch"][0]["interval"] == 600
    assert schedules["verify-promises"][0]["timezone"] == "Europe/Berlin"


def test_a_schedule_creates_runs(served: Served) -> None:
    """With some versions of its dependencies, Prefect's server creates no runs and only logs the reason."""
    id_ = served.deployments["reconcile-late-data"]["id"]
    served.request(f"/deployments/{id_}", {"paused": False}, "PATCH")
    body = {"deployments": {"id": {"any_": [id_]}}, "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    try:
        served.request(f"/deployments/{id_}/schedule", {"min_runs": 2})
        assert len(served.request("/flow_runs/filter", body)) >= 2
    finally:
        served.request(f"/deployments/{id_}", {"paused": True}, "PATCH")


def test_the_automations_exist(served: Served) -> None:
    names = {automation["name"] for automation in served.request("/automations/filter", {})}
    assert "animeverse: restart the micro-batch" in names
    assert len(names) == 5


def test_a_run_shows_its_tasks_logs_and_ledger(served: Served) -> None:
    run = served.run("micro-batch", minutes=0.2)
    assert served.wait_for(run, "Completed", "Failed", "Crashed", "Skipped") == "Completed", served.message(run)
    body = {"flow_runs": {"id": {"any_": [run]}}}
    tasks = served.request("/task_runs/filter", body)
    assert {task["name"]: task["state"]["name"] for task in tasks} == dict.fromkeys(
        ("bronze", "silver", "gold", "ledger"), "Completed"
    )
    eventually(lambda: any("records in this run" in line for line in served.logs(run)), "it logs no numbers")
    (ledger,) = served.request("/artifacts/filter", {"artifacts": {"key": {"any_": ["ledger"]}}, **body})
    assert "pos-transactions" in ledger["data"]


def test_a_run_whose_process_is_killed_is_restarted(served: Served) -> None:
    run = served.running_loop()
    for pid in served.pids(run):
        os.kill(pid, signal.SIGKILL)
    assert served.wait_for(run, "Crashed") == "Crashed"
    before = served.records()
    eventually(lambda: served.records() > before, "the automation restarted nothing")


def test_a_loop_hands_over_to_the_next_run_without_a_failure(served: Served) -> None:
    first = served.running_loop()
    second = served.run("micro-batch", minutes=20)
    assert served.wait_for(first, "Completed", "Failed", "Crashed") == "Completed"
    # Prefect sends a run's log in batches, the last of them after its state
    eventually(
        lambda: any(Ended.SUCCESSOR in line for line in served.logs(first)),
        "it does not log why",
    )
    assert served.state(second) == "Running"
    before = served.records()
    eventually(lambda: served.records() > before, "the successor reads no records")


def test_a_loop_continues_while_a_killed_worker_is_restarted(served: Served) -> None:
    run, worker = served.running_loop(), served.pid("worker")
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: served.pid("worker") not in (worker, None), "the worker did not come back")
    before = served.records()
    eventually(lambda: served.records() > before + 35 * RATE, "the loop ended with its worker")  # it logs every 30 s
    assert served.state(run) == "Running"
    served.request(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})  # no worker handles it
    assert served.wait_for(run, "Cancelled", "Crashed") == "Cancelled"


def test_a_cancelled_loop_ends(served: Served) -> None:
    run = served.running_loop()
    served.request(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
    assert served.wait_for(run, "Cancelled", "Crashed") == "Cancelled"
    eventually(lambda: not served.pids(run), "the process is still there")


def test_a_paused_loop_ends_and_continues_when_resumed(served: Served) -> None:
    run = served.running_loop()
    suspended = {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_reschedule": True}}
    served.request(f"/flow_runs/{run}/set_state", {"state": suspended})
    eventually(lambda: not served.pids(run), "the process is still there")
    assert served.state(run) == "Suspended"
    served.request(f"/flow_runs/{run}/resume", {})
    assert served.wait_for(run, "Running", "Failed") == "Running"
    before = served.records()
    eventually(lambda: served.records() > before, "the resumed run reads no records")


def test_promises_are_verified_while_the_loop_is_paused(served: Served) -> None:
    loop = served.running_loop()
    verification = served.run("verify-promises")
    assert served.wait_for(verification, "Completed", "Failed", "Crashed", "Skipped") == "Completed", served.message(
        verification
    )
    before = served.records()
    eventually(lambda: served.records() > before, "the loop did not continue")
    assert served.state(loop) == "Running"


def test_a_stuck_server_and_worker_are_restarted(served: Served) -> None:
    """A server was stuck like this in a CI run (docs/prefect.md)."""
    before = {name: served.pid(name) for name in ("server", "worker")}
    for pid in before.values():
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
    for name, pid in before.items():
        eventually(lambda name=name, pid=pid: served.pid(name) not in (pid, None), f"the {name} is the same", 180)
    assert served.wait_for(served.run("reconcile-late-data"), "Completed", "Failed", "Crashed") == "Completed"


def test_serve_stops_all_processes_and_every_check_holds(served: Served) -> None:
    served.running_loop()
    assert served.end() < 15
    assert served.process.returncode == 0
    assert descendants(None, f"PREFECT_HOME={served.home / 'prefect'}") == []
    assert list((served.home / "user").iterdir()) == []  # nothing is written outside the home
    served.producer.kill()  # the log must not change while it is counted
    served.producer.wait()
    settings = load_settings(home=served.home)
    run(settings, "all", follow=False, stop=threading.Event())
    assert [check for check in verify(settings, gold_checks=gold_checks) if not check.ok] == []
