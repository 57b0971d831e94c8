"""Opens the log at a URL. The libraries of a log are imported only when that kind of log is opened."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pipelines.errors import SettingsError
from pipelines.log.interface import Log

_NONE: Mapping[str, str] = MappingProxyType({})
_BROKER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")


def open_log(url: str, *, kafka: Mapping[str, str] = _NONE, topic_prefix: str = "") -> Log:
    """Return the log at `url`, without connecting to it or creating it.

    `url` is `kafka://host:port[,host:port]`, or, as in SQLAlchemy, `sqlite:///path` with a relative or
    `sqlite:////path` with an absolute path. `kafka` are librdkafka properties, which the embedded log ignores.
    `topic_prefix` precedes every topic's name inside the log; callers use the names without it.

    Raises SettingsError for any other URL.
    """
    if url.startswith("kafka://"):
        servers = url.removeprefix("kafka://").removesuffix("/")
        for server in servers.split(","):
            match = _BROKER.fullmatch(server)
            if not match or not 0 < int(match["port"]) < 65536:
                raise _malformed(url, "not host:port; user and password belong in ANIMEVERSE_KAFKA_SASL_*")
        from pipelines.log.kafka.log import KafkaLog

        return KafkaLog(servers, kafka, topic_prefix)
    if url.startswith("sqlite://"):
        path = url.removeprefix("sqlite://")
        if not path.startswith("/") or path in ("/", "/:memory:") or path.endswith("/"):
            raise _malformed(url, "sqlite:/// needs the path of a file")
        if "?" in path:
            raise _malformed(url, "options after a ? are not supported")
        from pipelines.log.embedded.log import EmbeddedLog

        return EmbeddedLog(Path(path[1:]), topic_prefix)
    raise _malformed(url, "it has another scheme")


def _malformed(url: str, reason: str) -> SettingsError:
    without_password = re.sub(r"//.*@", "//…@", url)
    return SettingsError(
        "expected ANIMEVERSE_LOG_URL to be kafka://host:port[,host:port], sqlite:///relative/path or "
        f"sqlite:////absolute/path, found {without_password!r}: {reason}"
    )
