"""`animeverse serve`: Prefect with all deployments of this home, in one command, on this machine.

Starts a server if none responds, a worker, the deployments of prefect.yaml and the automations. Prefect writes only
into `<home>/prefect` and sends nothing outside. A process that ends or hangs is restarted. At the end the running loop
finishes its round first, because `serve` requests the home like a successor.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from animeverse.serve.prefect_api import Api
from animeverse.serve.processes import Child, descendants, signal_group
from animeverse.serve.watchdog import Watchdog
from pipelines.config.settings import Settings
from pipelines.errors import AlreadyRunningError, PermanentError, RetryableError, StoreUnavailableError, UsageError
from pipelines.home_lock import home_lock
from pipelines.microbatch.handover import SUCCESSOR

POOL, LOOP = "animeverse", "micro-batch"
_START_TIMEOUT = 120.0  # seconds: the first start creates the database, possibly on a busy machine
_POLL_INTERVAL = 0.2  # seconds
_RUNS_TIMEOUT, _PROCESS_TIMEOUT = 6.0, 3.0  # seconds for flow runs to finish, and for processes to end
_LEASES = "prefect.server.concurrency.lease_storage.filesystem"

Say = Callable[[str], None]


def serve(settings: Settings, *, port: int, schedules: bool, say: Say, show: Say) -> None:
    """Serve until Ctrl-C or SIGTERM; a second signal ends the process at once.

    `show` receives the address of the UI once everything runs, `say` all messages. Raises UsageError outside a clone of
    the repository, StoreUnavailableError, RetryableError and PermanentError.
    """
    folder = settings.home / "prefect"
    try:
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(f"{folder} cannot be created: {error.strerror}. Check ANIMEVERSE_HOME.") from error
    project = _project()
    url, owns_server = _server_address(port)
    env = environment(settings, folder, url)
    api = Api(url, env)

    def child(name: str, *arguments: str) -> Child:
        return Child(name, [sys.executable, "-m", *arguments], project, env, folder / f"{name}.log")

    address = urlsplit(url)
    server = child("server", "flows.server", "--host", str(address.hostname), "--port", str(address.port))
    worker = child("worker", "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", "serve")
    with _stop_on_signals(say) as stop, _stop_processes(settings, folder, worker, server):
        if owns_server:
            say(f"starting a Prefect server with its database in {folder}")
            server.start()
            _wait_until(api.is_there, server, stop)
        else:
            say(f"using the Prefect server at {url}")
        if not stop.is_set():
            api.make_pool(POOL)
            worker.start()
            say("deploying prefect.yaml")
            _run_to_end(child("deploy", "prefect", "--no-prompt", "deploy", "--all"), stop)
        if not stop.is_set():
            _start_schedules(api, schedules, say)
            _run_to_end(child("automations", "flows.automations"), stop)
        if not stop.is_set():
            ui = url.removesuffix("/api")
            show(ui)
            say(f"Prefect's UI is at {ui}; logs are in {folder}. Ctrl-C stops everything.")
        children = (server, worker) if owns_server else (worker,)
        # `serve` cannot restart a server that it did not start.
        watchdog = Watchdog(lambda: api.due(POOL, datetime.now(UTC)), minds_silence=owns_server)
        while not stop.wait(_POLL_INTERVAL):
            problem = watchdog.problem()
            if stop.is_set():  # set while the watchdog polled
                break
            if problem:
                say(f"{problem}: restarting {' and '.join(process.name for process in children)}")
                for process in children:
                    process.kill()  # flow runs are processes of their own and continue
            for process in children:
                if process.restart_if_ended():
                    say(f"the {process.name} ended and is restarted")
                    if process is server:
                        _wait_until(api.is_there, server, stop)
                        if not stop.is_set():  # due runs are lost; a loop that still runs hands over to the new one
                            _start_schedules(api, schedules, say)


def environment(settings: Settings, folder: Path, url: str) -> dict[str, str]:
    """Return the environment of the processes: they write only into the home, and send nothing outside."""
    required = {
        "ANIMEVERSE_HOME": str(settings.home),
        "PREFECT_API_URL": url,
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "TMPDIR": str(folder / "tmp"),
        "PYTHONUNBUFFERED": "1",
    }
    defaults = {
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": _LEASES,
        "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # seconds; the pipeline keeps the machine busy
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_WORKER_PREFETCH_SECONDS": "2",
    }
    return {**defaults, **os.environ, **required}


def _project() -> Path:
    """Return the folder of prefect.yaml and the flows. Raises UsageError."""
    for folder in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (folder / "prefect.yaml").is_file() and (folder / "flows").is_dir():
            return folder
    raise UsageError("there is no prefect.yaml and flows/ here: run `animeverse serve` in a clone of the repository")


def _server_address(port: int) -> tuple[str, bool]:
    """Return the address of the server, and whether `serve` has to start it.

    PREFECT_API_URL takes precedence over `port`. Raises RetryableError when a server elsewhere does not respond, and
    PermanentError when the port is in use.
    """
    given = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    url = given or f"http://127.0.0.1:{port}/api"
    if Api(url).is_there():
        return url, False
    address = urlsplit(url)
    if given and (address.hostname not in ("127.0.0.1", "localhost") or address.port is None):
        raise RetryableError(
            f"no Prefect server responds at PREFECT_API_URL={given}: start it, or unset the variable to start one here"
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", address.port or port))
        except OSError as error:
            raise PermanentError(
                f"port {address.port} is in use by another program: choose another one with --port"
            ) from error
    return url, True


def _wait_until(is_done: Callable[[], bool], child: Child, stop: threading.Event) -> None:
    """Wait until `is_done` or `stop`. Raises PermanentError when the child ends first, or after 120 s."""
    deadline = time.monotonic() + _START_TIMEOUT
    while not is_done() and not stop.wait(_POLL_INTERVAL):
        if child.exit_code() is not None or time.monotonic() > deadline:
            raise child.failure()


def _run_to_end(child: Child, stop: threading.Event) -> None:
    """Run a process to its end, or until `stop`. Raises PermanentError when it fails."""
    child.start()
    try:
        while child.exit_code() is None:
            if stop.wait(_POLL_INTERVAL):
                return
    finally:
        child.kill()
    if child.exit_code() != 0:
        raise child.failure()


def _start_schedules(api: Api, schedules: bool, say: Say) -> None:
    """Resume or pause all schedules. With schedules, start the loop now instead of at its next scheduled time."""
    deployments = api.deployments()
    for id_ in deployments.values():
        api.set_paused(id_, not schedules)
    if schedules:
        say(f"starting {LOOP}: {api.run(deployments[LOOP])}")
    else:
        say(f"schedules are paused; `prefect deployment run {LOOP}/{LOOP}` runs the loop once")


@contextmanager
def _stop_on_signals(say: Say) -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set. The second signal raises KeyboardInterrupt."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.getsignal(number) for number in numbers}

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say("stopping; the next run does what is not committed")

    for number in numbers:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _stop_processes(settings: Settings, folder: Path, worker: Child, server: Child) -> Iterator[None]:
    """Stop flow runs, worker and server at the end of the block, whatever happens in it."""

    def runs() -> list[int]:
        """Return the leaders of the flow runs' process groups."""
        processes = descendants(worker.pid, f"PREFECT_HOME={folder}", "PREFECT__FLOW_RUN_ID=")
        return [run for run in processes if worker.pid is not None and os.getpgid(run) == run]

    try:
        yield
        with suppress(KeyboardInterrupt):
            _finish_runs(settings, runs)
    finally:
        for run in runs():
            signal_group(run, signal.SIGKILL)
        with suppress(KeyboardInterrupt):
            worker.end(_PROCESS_TIMEOUT)
            server.end(_PROCESS_TIMEOUT)
        worker.kill()
        server.kill()


def _finish_runs(settings: Settings, runs: Callable[[], list[int]]) -> None:
    """Wait for the flow runs to end.

    A request for the home, as of a successor, ends the loop. The other runs get SIGTERM after half of the time.
    """
    deadline = time.monotonic() + _RUNS_TIMEOUT
    with ExitStack() as successor:
        with suppress(AlreadyRunningError):  # another successor is waiting already
            successor.enter_context(home_lock(settings.home, SUCCESSOR))
        is_signalled = False
        while (left := deadline - time.monotonic()) > 0 and (running := runs()):
            if left < _RUNS_TIMEOUT / 2 and not is_signalled:
                is_signalled = True
                for run in running:
                    signal_group(run, signal.SIGTERM)
            time.sleep(_POLL_INTERVAL)
