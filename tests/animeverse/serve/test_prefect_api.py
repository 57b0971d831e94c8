"""The client of the Prefect API, against a real HTTP server with prepared responses."""

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
    """Sends its responses in order and repeats the last one; `requests` are those it received."""

    def __init__(self, *responses: tuple[int, str]) -> None:
        self.responses, self.requests = list(responses), list[tuple[str, str, Any]]()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def api(self) -> Api:
        return Api(f"http://127.0.0.1:{self.server_port}/api", {})


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._respond(None)

    def do_POST(self) -> None:
        self._respond(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _respond(self, body: Any) -> None:
        self.server.requests.append((self.command, self.path, body))
        responses = self.server.responses
        status, text = responses.pop(0) if len(responses) > 1 else responses[0]
        if status < 100:  # killed in the middle of a response
            self.wfile.write(b"HTTP/1.1 %d00 OK\r\nContent-Length: 100\r\n\r\n[" % (status or 2))
            return
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the delays between attempts instead of sleeping."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.fixture
def serve() -> Iterator[Any]:
    """Return a function that starts a server with these responses."""
    servers: list[Server] = []

    def start(*responses: tuple[int, str]) -> Server:
        servers.append(Server(*responses))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_due_runs_are_requested_like_a_worker_does(serve: Any) -> None:
    server = serve((200, json.dumps([{"flow_run": {"id": "a"}}, {"flow_run": {"id": "b"}}])))
    assert server.api.due("animeverse", NOW) == ["a", "b"]
    assert server.requests == [
        (
            "POST",
            "/api/work_pools/animeverse/get_scheduled_flow_runs",
            {"scheduled_before": "2026-11-30T06:00:00+00:00"},
        )
    ]


def test_no_run_is_due_without_the_pool(serve: Any) -> None:
    assert serve((404, "{}")).api.due("animeverse", NOW) == []


@pytest.mark.parametrize(
    ("response", "error"),
    [
        ((503, "{}"), PermanentError),
        ((5, ""), PermanentError),
        ((200, "<html>a proxy"), RetryableError),
        ((200, '{"detail": "a proxy"}'), RetryableError),
        ((0, ""), RetryableError),
    ],
)
def test_the_request_for_due_runs_is_not_retried(
    serve: Any, delays: list[float], response: tuple[int, str], error: type[Exception]
) -> None:
    with pytest.raises(error, match="server"):
        serve(response).api.due("animeverse", NOW)
    assert delays == []


def test_a_request_is_retried_while_the_database_is_locked(serve: Any, delays: list[float]) -> None:
    server = serve((503, "{}"), (0, ""), (429, "{}"), (200, json.dumps({"name": "brave-otter"})))
    assert server.api.run("some-id") == "brave-otter"
    assert delays == [0.5, 1.0, 2.0]


def test_retries_take_longer_than_prefect_waits_for_its_lock(serve: Any, delays: list[float]) -> None:
    server = serve((503, "database is locked"))
    with pytest.raises(PermanentError, match=r"503 to POST .*/create_flow_run: database is locked"):
        server.api.run("some-id")
    assert len(server.requests) == len(delays) + 1
    assert sum(delays) + len(server.requests) * 10 > 60  # an attempt without a response takes ten seconds


def test_a_rejected_request_is_not_retried(serve: Any, delays: list[float]) -> None:
    server = serve((422, "no such field"))
    with pytest.raises(PermanentError, match=r"422 .*no such field"):
        server.api.run("some-id")
    assert delays == []
    assert len(server.requests) == 1


def test_an_existing_pool_is_accepted(serve: Any) -> None:
    serve((409, "{}")).api.make_pool("animeverse")


def test_a_server_with_an_incomplete_response_is_not_there_yet(serve: Any) -> None:
    server = serve((0, ""), (404, "{}"), (200, "true"))
    assert [server.api.is_there() for _ in range(3)] == [False, False, True]
