"""Addresses of the log, the catalog and the lake. Each parser raises ValueError with what it expects."""

import re
from pathlib import Path

_SQLITE = "sqlite:///"
_BROKER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")


def parse_home(value: object) -> Path:
    """The absolute path. One that cannot stand in a URL as it is would be told apart by some library only."""
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError("a folder")
    path = Path(value).expanduser().absolute()
    if set("#?%") & set(str(path)):
        raise ValueError("a folder without #, ? or % in its path")
    return path


def sqlite_path(url: str) -> Path | None:
    """The file that `sqlite:///path` names (three slashes and the path, absolute or not); None for other addresses."""
    return Path(url.removeprefix(_SQLITE)).expanduser().absolute() if url.startswith(_SQLITE) else None


def _sqlite_url(url: str) -> str | None:
    path = sqlite_path(url) if url != _SQLITE else None
    return f"{_SQLITE}{path}" if path else None


def parse_log_url(url: str) -> str:
    """`kafka://host:port[,host:port]` or `sqlite:///path`, the path made absolute; empty: inside the home."""
    brokers = url.removeprefix("kafka://").rstrip("/").split(",")
    if url.startswith("kafka://") and all((m := _BROKER.fullmatch(b)) and int(m[1]) < 65536 for b in brokers):
        return "kafka://" + ",".join(brokers)
    found = _sqlite_url(url) if url else ""
    if found is None:
        raise ValueError(
            "kafka://host:port[,host:port…] or sqlite:///path; users and passwords go to ANIMEVERSE_KAFKA_…"
        )
    return found


def parse_catalog_url(url: str) -> str:
    """`http(s)://…` of a REST catalog or `sqlite:///path`, the path made absolute; empty: inside the home."""
    if re.fullmatch(r"https?://[^/@\s]+(/[^@\s]*)?", url):
        return url
    found = _sqlite_url(url) if url else ""
    if found is None:
        raise ValueError(
            "http(s)://host[:port]/path of a REST catalog or sqlite:///path (who you are goes to ANIMEVERSE_CATALOG_…)"
        )
    return found


def parse_lake_root(root: str) -> str:
    """`s3://bucket[/prefix]` or a folder, made absolute; empty: inside the home."""
    if not root:
        return root
    if re.fullmatch(r"s3a?://[a-z0-9][a-z0-9.-]+(/[^\s?#]*)?", root):
        return root.rstrip("/")
    if "://" in root and not root.startswith("file:///"):
        raise ValueError("s3://bucket[/prefix] or a folder")
    return str(Path(root.removeprefix("file://")).expanduser().absolute())
