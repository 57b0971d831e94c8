"""Addresses of the log, the catalog and the lake. Each parser raises ValueError with what it expects."""

import re
from pathlib import Path
from typing import Literal

CatalogKind = Literal["sql", "rest"]
_SQLITE = "sqlite:///"
_BROKER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")


def parse_home(value: object) -> Path:
    """The absolute path. Characters that URLs escape are refused, because libraries disagree about them."""
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError("a folder")
    path = Path(value).expanduser().absolute()
    if set("#?%") & set(str(path)):
        raise ValueError("a folder without #, ? or % in its path")
    return path


def sqlite_path(url: str) -> Path | None:
    """The file of `sqlite:///path`, where the path may be absolute or relative; None for other addresses."""
    return Path(url.removeprefix(_SQLITE)).expanduser().absolute() if url.startswith(_SQLITE) else None


def catalog_kind(url: str) -> CatalogKind:
    """The kind of catalog at an address that `parse_catalog_url` returned."""
    return "sql" if url.startswith(_SQLITE) else "rest"


def _sqlite_url(url: str) -> str | None:
    path = sqlite_path(url) if url != _SQLITE else None
    return f"{_SQLITE}{path}" if path else None


def parse_log_url(url: str) -> str:
    """`kafka://host:port[,host:port]`, or `sqlite:///path` with an absolute path; empty for the default."""
    brokers = url.removeprefix("kafka://").rstrip("/").split(",")
    if url.startswith("kafka://") and all((m := _BROKER.fullmatch(b)) and int(m[1]) < 65536 for b in brokers):
        return "kafka://" + ",".join(brokers)
    path_url = _sqlite_url(url) if url else ""
    if path_url is None:
        raise ValueError(
            "kafka://host:port[,host:port…] or sqlite:///path; users and passwords go to ANIMEVERSE_KAFKA_…"
        )
    return path_url


def parse_catalog_url(url: str) -> str:
    """`http(s)://...` of a REST catalog, or `sqlite:///path` with an absolute path; empty for the default."""
    if re.fullmatch(r"https?://[^/@?#\s]+(/[^@?#\s]*)?", url):
        return url
    path_url = _sqlite_url(url) if url else ""
    if path_url is None:
        raise ValueError(
            "http(s)://host[:port]/path of a REST catalog or sqlite:///path (credentials go to ANIMEVERSE_CATALOG_…)"
        )
    return path_url


def parse_lake_root(root: str) -> str:
    """`s3://bucket[/prefix]`, or a folder as an absolute path; empty for the default."""
    if not root:
        return root
    if re.fullmatch(r"s3a?://[a-z0-9][a-z0-9.-]+(/[^\s?#@]*)?", root):
        return root.rstrip("/")
    if "://" in root and not root.startswith("file:///"):
        raise ValueError("s3://bucket[/prefix] or a folder")
    return str(Path(root.removeprefix("file://")).expanduser().absolute())
