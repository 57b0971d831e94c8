"""What `animeverse serve` makes of a Prefect server's answers: a real HTTP server gives those that a test wants."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from animeverse.serve.prefect_api import Api
from pipelines.errors import PermanentError, RetryableError

NOW = datetime(2026, 11, 30, 6, tzinfo=UTC)


class Server(ThreadingHTTPServer):
    """Gives its answers in turn, the last one for ever; `heard` is what was asked."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self.answers, self.heard = list(answers), list[tuple[str, str, Any]]()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def api(self) -> Api:
        return Api(f"http://127.0.0.1:{self.server_port}/api", {})


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Any) -> None:
        self.server.heard.append((self.command, self.path, body))
        answers = self.server.answers
        status, text = answers.pop(0) if len(answers) > 1 else answers[0]
        if status < 100:  # killed in the middle of an answer
            self.wfile.write(b"HTTP/1.1 %d00 OK\r\nContent-Length: 100\r\n\r\n[" % (status or 2))
            return
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited for, in no time."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


@pytest.fixture
def serve() -> Iterator[Any]:
    """Start a server with these answers."""
    servers: list[Server] = []

    def start(*answers: tuple[int, str]) -> Server:
        servers.append(Server(*answers))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_runs_that_are_due_are_asked_for_as_a_worker_does(serve: Any) -> None:
    server = serve((200, json.dumps([{"flow_run": {"id": "a"}}, {"flow_run": {"id": "b"}}])))
    assert server.api.due("animeverse", NOW) == ["a", "b"]
    assert server.heard == [
        (
            "POST",
            "/api/work_pools/animeverse/get_scheduled_flow_runs",
            {"scheduled_before": "2026-11-30T06:00:00+00:00"},
        )
    ]


def test_nothing_is_due_where_the_pool_is_gone(serve: Any) -> None:
    assert serve((404, "{}")).api.due("animeverse", NOW) == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((503, "{}"), PermanentError),
        ((5, ""), PermanentError),
        ((200, "<html>a proxy"), RetryableError),
        ((200, '{"detail": "a proxy"}'), RetryableError),
        ((0, ""), RetryableError),
    ],
)
def test_whoever_looks_now_and_then_is_told_at_once(
    serve: Any, waits: list[float], answer: tuple[int, str], error: type[Exception]
) -> None:
    with pytest.raises(error, match="server"):
        serve(answer).api.due("animeverse", NOW)
    assert waits == []


def test_a_server_whose_database_is_locked_is_asked_again(serve: Any, waits: list[float]) -> None:
    server = serve((503, "{}"), (0, ""), (429, "{}"), (200, json.dumps({"name": "brave-otter"})))
    assert server.api.run("some-id") == "brave-otter"
    assert waits == [0.5, 1.0, 2.0]


def test_one_that_stays_locked_is_given_up_after_more_than_prefect_waits_itself(serve: Any, waits: list[float]) -> None:
    server = serve((503, "database is locked"))
    with pytest.raises(PermanentError, match=r"503 to POST .*/create_flow_run: database is locked"):
        server.api.run("some-id")
    assert len(server.heard) == len(waits) + 1
    assert sum(waits) + len(server.heard) * 10 > 60  # a try that is not answered takes ten seconds


def test_what_the_server_refuses_is_not_asked_again(serve: Any, waits: list[float]) -> None:
    server = serve((422, "no such field"))
    with pytest.raises(PermanentError, match=r"422 .*no such field"):
        server.api.run("some-id")
    assert waits == []
    assert len(server.heard) == 1


def test_a_pool_that_is_there_is_fine(serve: Any) -> None:
    serve((409, "{}")).api.make_pool("animeverse")


def test_a_server_that_breaks_off_its_answer_is_not_there_yet(serve: Any) -> None:
    server = serve((0, ""), (404, "{}"), (200, "true"))
    assert [server.api.is_there() for _ in range(3)] == [False, False, True]
