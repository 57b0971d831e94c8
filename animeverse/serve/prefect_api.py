"""The few things that `animeverse serve` asks a Prefect server for, over HTTP: importing Prefect takes seconds."""

import base64
import contextlib
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipelines.errors import PermanentError, RetryableError

_TIMEOUT = 10.0
_BUSY = (429, 502, 503, 504)  # its database is locked, on a busy machine
_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)  # with the time-outs more than the minute that Prefect waits for its own lock


class Api:
    """A Prefect server by its address, such as http://127.0.0.1:4200/api."""

    def __init__(self, url: str, environment: Mapping[str, str] | None = None) -> None:
        self.url = url.rstrip("/")
        environment = os.environ if environment is None else environment
        self._headers = {"Content-Type": "application/json"}
        if environment.get("PREFECT_API_KEY"):
            self._headers["Authorization"] = f"Bearer {environment['PREFECT_API_KEY']}"
        elif environment.get("PREFECT_API_AUTH_STRING"):
            secret = base64.b64encode(environment["PREFECT_API_AUTH_STRING"].encode()).decode()
            self._headers["Authorization"] = f"Basic {secret}"

    def is_there(self) -> bool:
        """Whether a Prefect server answers there."""
        try:
            with urllib.request.urlopen(self._request("GET", "/health", None), timeout=_TIMEOUT) as answer:  # noqa: S310
                return bool(json.loads(answer.read()) is True)
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def make_pool(self, name: str) -> None:
        """Make a work pool for processes; nothing happens where it is there."""
        self._send("POST", "/work_pools/", {"name": name, "type": "process"}, fine=(409,))

    def deployments(self) -> dict[str, str]:
        """Deployment -> id, of the deployments that are named as their flow."""
        found = self._send("POST", "/deployments/filter", {"limit": 200})
        return {of["name"]: of["id"] for of in found}

    def set_paused(self, deployment_id: str, paused: bool) -> None:
        """Stop a deployment's schedules, or let them go on; runs by hand are possible all the same."""
        self._send("PATCH", f"/deployments/{deployment_id}", {"paused": paused})

    def run(self, deployment_id: str) -> str:
        """Have a deployment run now; the name of the run."""
        made = self._send("POST", f"/deployments/{deployment_id}/create_flow_run", {"state": {"type": "SCHEDULED"}})
        return str(made["name"])

    def due(self, pool: str, now: datetime) -> list[str]:
        """Ids of runs that a worker of the pool is to start by now; a worker asks the same, so the pool's queues look
        to Prefect as if one had.

        Raises RetryableError when the server does not answer within ten seconds, PermanentError when it cannot.
        """
        body = {"scheduled_before": now.isoformat()}
        found = self._send("POST", f"/work_pools/{pool}/get_scheduled_flow_runs", body, fine=(404,), waits=())
        try:
            return [of["flow_run"]["id"] for of in found or ()]
        except (KeyError, TypeError) as error:
            raise RetryableError(f"what answers at {self.url} is no Prefect server") from error

    def _request(self, method: str, path: str, body: Any) -> urllib.request.Request:
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.Request(self.url + path, method=method, data=data, headers=self._headers)  # noqa: S310

    def _send(
        self, method: str, path: str, body: Any, fine: tuple[int, ...] = (), waits: tuple[float, ...] = _WAITS
    ) -> Any:
        request = self._request(method, path, body)
        for wait in (*waits, None):
            try:
                with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
                    text = answer.read()
                    return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                if error.code in fine:
                    return None
                if error.code not in _BUSY or wait is None:
                    told = ""
                    with contextlib.suppress(OSError, http.client.HTTPException):
                        told = error.read().decode(errors="replace")[:500]
                    raise PermanentError(
                        f"Prefect's server said {error.code} to {method} {self.url}{path}: {told}"
                    ) from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                if wait is None:
                    raise RetryableError(f"the Prefect server at {self.url} does not answer: {error}") from error
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")
