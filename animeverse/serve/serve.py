"""`animeverse serve`: Prefect with all deployments of this home, in one command, on this machine alone.

A server if none is there, a worker, the deployments of prefect.yaml and the automations. All that Prefect writes lies
in `<home>/prefect`; nothing calls outside. What dies or gets stuck is started again. When it ends, the running loop is
asked to finish its round first, as if its successor had come.
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
_START_WITHIN = 120.0  # seconds: a first start makes the database, and the machine may be busy
_LOOK_EVERY = 0.2
_FINISH_WITHIN, _END_WITHIN = 6.0, 3.0  # seconds for runs to finish, for processes to end
_LEASES = "prefect.server.concurrency.lease_storage.filesystem"

Say = Callable[[str], None]


def serve(settings: Settings, *, port: int, schedules: bool, say: Say, show: Say) -> None:
    """Serve until Ctrl-C or SIGTERM; a second one ends it at once. `show` gets the UI's address when all is up."""
    folder = settings.home / "prefect"
    try:
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(f"{folder} cannot be made: {error.strerror}. Check ANIMEVERSE_HOME.") from error
    project = _project()
    url, is_ours = _place(port)
    env = environment(settings, folder, url)
    api = Api(url, env)

    def child(name: str, *arguments: str) -> Child:
        return Child(name, [sys.executable, "-m", *arguments], project, env, folder / f"{name}.log")

    address = urlsplit(url)
    server = child("server", "flows.server", "--host", str(address.hostname), "--port", str(address.port))
    worker = child("worker", "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", "serve")
    with _ended_by_signals(say) as stop, _ending(settings, folder, worker, server):
        if is_ours:
            say(f"starting a Prefect server, its database in {folder}")
            server.start()
            _until(api.is_there, server, stop)
        else:
            say(f"using the Prefect server at {url}")
        if not stop.is_set():
            api.make_pool(POOL)
            worker.start()
            say("deploying what prefect.yaml names")
            _finish(child("deploy", "prefect", "--no-prompt", "deploy", "--all"), stop)
        if not stop.is_set():
            _begin(api, schedules, say)
            _finish(child("automations", "flows.automations"), stop)
        if not stop.is_set():
            ui = url.removesuffix("/api")
            show(ui)
            say(f"Prefect's UI is at {ui}; logs are in {folder}. Ctrl-C ends all of it.")
        ours = (server, worker) if is_ours else (worker,)
        # that somebody else's server does not answer is for them to mend
        watch = Watchdog(lambda: api.due(POOL, datetime.now(UTC)), minds_silence=is_ours)
        while not stop.wait(_LOOK_EVERY):
            told = watch.problem()
            if stop.is_set():  # while it looked
                break
            if told:
                say(f"{told}: what does not do its work is ended")
                for one in ours:
                    one.kill()  # flow runs are processes of their own and go on
            for one in ours:
                if one.revive():
                    say(f"the {one.name} died and is started again")
                    if one is server:
                        _until(api.is_there, server, stop)
                        if not stop.is_set():  # it forgot what it was about to do; a loop that lives is succeeded
                            _begin(api, schedules, say)


def environment(settings: Settings, folder: Path, url: str) -> dict[str, str]:
    """What the processes get: nothing outside the home is written, nothing outside the machine is called."""
    fixed = {
        "ANIMEVERSE_HOME": str(settings.home),
        "PREFECT_API_URL": url,
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "TMPDIR": str(folder / "tmp"),
        "PYTHONUNBUFFERED": "1",
    }
    wished = {
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": _LEASES,
        "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # a machine that is busy with the pipeline
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_WORKER_PREFETCH_SECONDS": "2",
    }
    return {**wished, **os.environ, **fixed}


def _project() -> Path:
    """Where prefect.yaml and the flows are."""
    for folder in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (folder / "prefect.yaml").is_file() and (folder / "flows").is_dir():
            return folder
    raise UsageError("prefect.yaml and flows/ are not here: run `animeverse serve` in a clone of the repository")


def _place(port: int) -> tuple[str, bool]:
    """The server's address, and whether it is for us to start it: where PREFECT_API_URL says, else on this machine."""
    given = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    url = given or f"http://127.0.0.1:{port}/api"
    if Api(url).is_there():
        return url, False
    address = urlsplit(url)
    if given and (address.hostname not in ("127.0.0.1", "localhost") or address.port is None):
        raise RetryableError(
            f"PREFECT_API_URL is {given}, and nothing answers there: unset it to have a server started"
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", address.port or port))
        except OSError as error:
            raise PermanentError(
                f"port {address.port} is taken by something else: give another one by --port"
            ) from error
    return url, True


def _until(is_done: Callable[[], bool], child: Child, stop: threading.Event) -> None:
    """Wait for it, as long as the child lives."""
    deadline = time.monotonic() + _START_WITHIN
    while not is_done() and not stop.wait(_LOOK_EVERY):
        if child.exit_code() is not None or time.monotonic() > deadline:
            raise child.failed()


def _finish(child: Child, stop: threading.Event) -> None:
    """Run a process to its end. Raises PermanentError when it fails."""
    child.start()
    try:
        while child.exit_code() is None:
            if stop.wait(_LOOK_EVERY):
                return
    finally:
        child.kill()
    if child.exit_code() != 0:
        raise child.failed()


def _begin(api: Api, schedules: bool, say: Say) -> None:
    """Schedules on or off; the loop starts now instead of at its next turn."""
    found = api.deployments()
    for id_ in found.values():
        api.set_paused(id_, not schedules)
    if schedules:
        say(f"{LOOP} is about to run: {api.run(found[LOOP])}")
    else:
        say(f"no schedule is active; `prefect deployment run {LOOP}/{LOOP}` runs the loop once")


@contextmanager
def _ended_by_signals(say: Say) -> Iterator[threading.Event]:
    """The event that Ctrl-C and SIGTERM set. The second signal is the default one again: it ends the process."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say("ending; what is not committed will be done by the next run")

    for number in numbers:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _ending(settings: Settings, folder: Path, worker: Child, server: Child) -> Iterator[None]:
    """Whatever happens in the block, nothing that it started is left."""

    def runs() -> list[int]:
        """Leaders of the process groups of flow runs."""
        found = descendants(worker.pid, f"PREFECT_HOME={folder}", "PREFECT__FLOW_RUN_ID=")
        return [run for run in found if worker.pid is not None and os.getpgid(run) == run]

    try:
        yield
        with suppress(KeyboardInterrupt):
            _let_runs_finish(settings, runs)
    finally:
        for run in runs():
            signal_group(run, signal.SIGKILL)
        with suppress(KeyboardInterrupt):
            worker.end(_END_WITHIN)
            server.end(_END_WITHIN)
        worker.kill()
        server.kill()


def _let_runs_finish(settings: Settings, runs: Callable[[], list[int]]) -> None:
    """The loop ends its round since somebody is at the successor's door; other runs are asked by SIGTERM."""
    deadline = time.monotonic() + _FINISH_WITHIN
    with ExitStack() as door:
        with suppress(AlreadyRunningError):  # a successor is there already
            door.enter_context(home_lock(settings.home, SUCCESSOR))
        is_asked = False
        while (left := deadline - time.monotonic()) > 0 and (found := runs()):
            if left < _FINISH_WITHIN / 2 and not is_asked:
                is_asked = True
                for run in found:
                    signal_group(run, signal.SIGTERM)
            time.sleep(_LOOK_EVERY)
