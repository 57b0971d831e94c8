"""From the setting ANIMEVERSE_LOG_URL to an open log. A log's libraries are imported only when that log is opened."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pipelines.errors import SettingsError
from pipelines.log.interface import Log

_NONE: Mapping[str, str] = MappingProxyType({})
_BROKER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")


def open_log(url: str, *, kafka: Mapping[str, str] = _NONE, topic_prefix: str = "") -> Log:
    """The log at `url`: `kafka://host:port[,host:port]`, or `sqlite:///path` with a relative and `sqlite:////path` with
    an absolute path, as SQLAlchemy writes them. Nothing is connected to or created yet.

    `kafka` are librdkafka settings, passed on as they are; the embedded log does not look at them. `topic_prefix` is
    put before every topic's name inside the log and is invisible above. Raises SettingsError for any other url.
    """
    if url.startswith("kafka://"):
        servers = url.removeprefix("kafka://").removesuffix("/")
        for server in servers.split(","):
            found = _BROKER.fullmatch(server)
            if not found or not 0 < int(found["port"]) < 65536:
                raise _malformed(url, "not host:port; user and password belong in ANIMEVERSE_KAFKA_SASL_*")
        from pipelines.log.kafka.log import KafkaLog

        return KafkaLog(servers, kafka, topic_prefix)
    if url.startswith("sqlite://"):
        path = url.removeprefix("sqlite://")
        if not path.startswith("/") or path in ("/", "/:memory:") or path.endswith("/"):
            raise _malformed(url, "a path to a file has to follow sqlite:///")
        if "?" in path:
            raise _malformed(url, "there are no options after a ?")
        from pipelines.log.embedded.log import EmbeddedLog

        return EmbeddedLog(Path(path[1:]), topic_prefix)
    raise _malformed(url, "it begins with neither")


def _malformed(url: str, found: str) -> SettingsError:
    shown = re.sub(r"//.*@", "//…@", url)  # no password in a message
    return SettingsError(
        "expected ANIMEVERSE_LOG_URL to be kafka://host:port[,host:port], sqlite:///relative/path or "
        f"sqlite:////absolute/path, found {shown!r}: {found}"
    )
