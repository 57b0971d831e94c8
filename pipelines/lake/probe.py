"""Tests of the store with one temporary object: does it do what tables need?"""

import hashlib
import hmac
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from pyiceberg.io import load_file_io

from pipelines.config.settings import Settings
from pipelines.errors import StoreUnavailableError
from pipelines.lake.catalog import catalog_properties
from pipelines.lake.commits import translate_store_errors

_TIMEOUT_SECONDS = "3"
_CONTENT = b"probe"


def _probe_path(settings: Settings) -> str:
    return f"{settings.lake_root}/.animeverse-doctor-{uuid.uuid4().hex}"


def probe_store(settings: Settings) -> None:
    """Write, read and delete an object as tables do. Raises StoreUnavailableError."""
    defaults = {
        "s3.connect-timeout": _TIMEOUT_SECONDS,
        "s3.request-timeout": _TIMEOUT_SECONDS,
        "s3.region": "us-east-1",
    }
    io, path = load_file_io({**defaults, **catalog_properties(settings)}, settings.lake_root), _probe_path(settings)
    with translate_store_errors(f"probing the store {settings.lake_root}"):
        try:
            with io.new_output(path).create() as out:
                out.write(_CONTENT)
            with io.new_input(path).open() as stream:
                content = stream.read()
        except BaseException:
            with suppress(Exception):
                io.delete(path)
            raise
        io.delete(path)
    if content != _CONTENT:
        raise StoreUnavailableError(f"{path}: expected to read {_CONTENT!r} back, found {content!r}")


def writes_only_once(settings: Settings) -> bool | None:
    """Whether the store refuses to overwrite an existing key with If-None-Match; None if that could not be tested."""
    from requests import RequestException

    if not {"s3.access-key-id", "s3.secret-access-key"} <= set(settings.s3):
        return None
    path = _probe_path(settings)
    with suppress(RequestException):
        try:
            first = _send(settings, "PUT", path, **{"if-none-match": "*"})
            second = _send(settings, "PUT", path, **{"if-none-match": "*"})
        finally:
            _send(settings, "DELETE", path)
        return second in (409, 412) if first == 200 else None
    return None


def _send(settings: Settings, method: str, path: str, **headers: str) -> int:
    """Send one request, signed with AWS Signature Version 4, and return its status code."""
    import requests

    s3, (bucket, _, key) = settings.s3, path.split("://", 1)[1].partition("/")
    region = s3.get("s3.region", "us-east-1")
    endpoint = s3.get("s3.endpoint", f"https://s3.{region}.amazonaws.com").rstrip("/")
    url = f"{endpoint}/{bucket}/{quote(key)}"
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    body = _CONTENT if method == "PUT" else b""
    signed = {
        **headers,
        "host": urlsplit(url).netloc,
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-amz-date": now,
        **({"x-amz-security-token": s3["s3.session-token"]} if "s3.session-token" in s3 else {}),
    }
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    canonical = "\n".join([method, urlsplit(url).path, "", lines, names, signed["x-amz-content-sha256"]])
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    secret = f"AWS4{s3['s3.secret-access-key']}".encode()
    for part in (now[:8], region, "s3", "aws4_request", text):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    credential = f"Credential={s3['s3.access-key-id']}/{scope}"
    signed["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={secret.hex()}"
    return requests.request(method, url, data=body, headers=signed, timeout=float(_TIMEOUT_SECONDS)).status_code
