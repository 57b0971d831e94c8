"""A minimal client of a Prefect server's HTTP API. Importing Prefect itself takes seconds."""

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
_BUSY = (429, 502, 503, 504)  # also when the server's database is locked
# Seconds between attempts. With the timeouts, longer than the minute that Prefect waits for its database lock.
_RETRY_DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0)


class Api:
    """A Prefect server at an address such as http://127.0.0.1:4200/api.

    Methods raise RetryableError when the server does not respond, and PermanentError when it rejects a request.
    """

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
        """Return whether a Prefect server responds."""
        try:
            with urllib.request.urlopen(self._request("GET", "/health", None), timeout=_TIMEOUT) as answer:  # noqa: S310
                return bool(json.loads(answer.read()) is True)
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def make_pool(self, name: str) -> None:
        """Create a process work pool if it does not exist."""
        self._send("POST", "/work_pools/", {"name": name, "type": "process"}, accepted=(409,))

    def deployments(self) -> dict[str, str]:
        """Return the ids of the deployments by name."""
        deployments = self._send("POST", "/deployments/filter", {"limit": 200})
        return {deployment["name"]: deployment["id"] for deployment in deployments}

    def set_paused(self, deployment_id: str, paused: bool) -> None:
        """Pause or resume the schedules of a deployment. Manual runs stay possible."""
        self._send("PATCH", f"/deployments/{deployment_id}", {"paused": paused})

    def run(self, deployment_id: str) -> str:
        """Start a deployment and return the name of the run."""
        run = self._send("POST", f"/deployments/{deployment_id}/create_flow_run", {"state": {"type": "SCHEDULED"}})
        return str(run["name"])

    def due(self, pool: str, now: datetime) -> list[str]:
        """Return the ids of the runs that a worker of the pool should start by now. Never retries.

        A worker sends the same request, so Prefect considers the pool polled. Raises RetryableError when the server
        does not respond within ten seconds, and PermanentError when it rejects the request.
        """
        body = {"scheduled_before": now.isoformat()}
        runs = self._send("POST", f"/work_pools/{pool}/get_scheduled_flow_runs", body, accepted=(404,), delays=())
        try:
            return [run["flow_run"]["id"] for run in runs or ()]
        except (KeyError, TypeError) as error:
            raise RetryableError(f"the server at {self.url} is not a Prefect server") from error

    def _request(self, method: str, path: str, body: Any) -> urllib.request.Request:
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.Request(self.url + path, method=method, data=data, headers=self._headers)  # noqa: S310

    def _send(
        self,
        method: str,
        path: str,
        body: Any,
        accepted: tuple[int, ...] = (),
        delays: tuple[float, ...] = _RETRY_DELAYS,
    ) -> Any:
        request = self._request(method, path, body)
        for delay in (*delays, None):
            try:
                with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
                    text = answer.read()
                    return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                if error.code in accepted:
                    return None
                if error.code not in _BUSY or delay is None:
                    detail = ""
                    with contextlib.suppress(OSError, http.client.HTTPException):
                        detail = error.read().decode(errors="replace")[:500]
                    raise PermanentError(
                        f"the Prefect server responded {error.code} to {method} {self.url}{path}: {detail}"
                    ) from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                if delay is None:
                    raise RetryableError(f"the Prefect server at {self.url} does not respond: {error}") from error
            time.sleep(delay)
        raise AssertionError("the last attempt returns or raises")
