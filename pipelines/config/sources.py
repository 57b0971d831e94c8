"""Reads the environment, `.env` and `animeverse.toml`, and checks the names in them.

The result is a flat mapping from a path in the settings (`("kafka_settings", "sasl.mechanism")`) to the value and its
origin, so that error messages can name the variable. An empty variable counts as absent, because compose files pass
such variables.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from pipelines.config.topic_settings import BY_TOPIC
from pipelines.errors import SettingsError

PREFIX = "ANIMEVERSE_"
TOML = "animeverse.toml"
TABLES = ("topics", "kafka", "s3", "catalog")  # of animeverse.toml
NOT_OURS = ("ANIMEVERSE_TEST_", "ANIMEVERSE_FAULT")  # variables of the test suites

S3_NAMES = {
    name.replace("-", "_"): f"s3.{name}"
    for name in (
        "access-key-id",
        "anonymous",
        "connect-timeout",
        "endpoint",
        "force-virtual-addressing",
        "profile-name",
        "proxy-uri",
        "region",
        "request-timeout",
        "role-arn",
        "role-session-name",
        "secret-access-key",
        "server-side-encryption",
        "session-token",
        "sse-kms-key-id",
    )
}
CATALOG_NAMES = {
    name.replace("-", "_").replace(".", "_"): name
    for name in ("audience", "credential", "oauth2-server-uri", "prefix", "resource", "scope", "token", "warehouse")
}
# Names that every S3 client reads. They apply if our own name is absent.
AWS_NAMES = {
    "AWS_ENDPOINT_URL": "s3.endpoint",
    "AWS_ENDPOINT_URL_S3": "s3.endpoint",
    "AWS_ACCESS_KEY_ID": "s3.access-key-id",
    "AWS_SECRET_ACCESS_KEY": "s3.secret-access-key",
    "AWS_SESSION_TOKEN": "s3.session-token",
    "AWS_DEFAULT_REGION": "s3.region",
    "AWS_REGION": "s3.region",
}

SettingPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was read, and its name there."""

    value: Any
    origin: str


def collect(folder: Path, environment: Mapping[str, str], fields: tuple[str, ...]) -> dict[SettingPath, Given]:
    """All given settings: environment over `.env` over `animeverse.toml`. Raises SettingsError on unknown names."""
    given = _from_toml(folder / TOML, fields)
    for variables, source in ((dot_env(folder / ".env"), " (.env)"), (environment, "")):
        for name, s3_name in AWS_NAMES.items():
            if variables.get(name):
                given[("s3_settings", s3_name)] = Given(variables[name], name + source)
        for name, value in variables.items():
            if name.startswith(PREFIX) and not name.startswith(NOT_OURS):
                path = _variable(name, source, fields)
                if value:
                    given[path] = Given(value, name + source)
    return given


def dot_env(path: Path) -> dict[str, str]:
    """The variables of a `.env` file; {} if it does not exist. Raises SettingsError."""
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        return {name: value or "" for name, value in dotenv_values(path, encoding="utf-8").items()}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: expected a readable UTF-8 text: {error}") from None


def _variable(name: str, source: str, fields: tuple[str, ...]) -> SettingPath:
    """The path in the settings that the variable sets."""
    key = name.removeprefix(PREFIX)
    if re.fullmatch(r"KAFKA_[A-Z0-9_]+", key):
        return ("kafka_settings", key.removeprefix("KAFKA_").lower().replace("_", "."))
    known: dict[str, SettingPath] = {field.upper(): (field,) for field in fields}
    known |= {f"S3_{short.upper()}": ("s3_settings", full) for short, full in S3_NAMES.items()}
    known |= {f"CATALOG_{short.upper()}": ("catalog_settings", full) for short, full in CATALOG_NAMES.items()}
    if "__" in key or key not in known:
        known |= {f"{name.upper()}__{_suffix(t)}": ("topics", t, name) for t in _topics() for name in BY_TOPIC}
    if key not in known:
        raise SettingsError(unknown_setting(name + source, [PREFIX + one for one in (*known, "KAFKA_…")], name))
    return known[key]


def _topics() -> tuple[str, ...]:
    from pipelines.contracts.registry import TOPICS  # imported late: takes a second, and few settings need it

    return TOPICS


def _suffix(topic: str) -> str:
    return topic.upper().replace("-", "_")


def _from_toml(path: Path, fields: tuple[str, ...]) -> dict[SettingPath, Given]:
    if not path.is_file():
        return {}
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: expected readable TOML: {error}") from None
    return dict(_toml_entries(tree, fields))


def _toml_entries(tree: dict[str, Any], fields: tuple[str, ...]) -> Iterator[tuple[SettingPath, Given]]:
    for key, value in tree.items():
        if key in TABLES:
            if not isinstance(value, dict):
                raise SettingsError(f"{TOML}: expected a table [{key}], found {type(value).__name__}")
            yield from _toml_table(key, value)
        elif key in fields:
            yield (key,), Given(value, f"{TOML}: {key}")
        else:
            raise SettingsError(unknown_setting(f"{TOML}: {key}", [*fields, *TABLES], key))


def _toml_table(table: str, entries: dict[str, Any]) -> Iterator[tuple[SettingPath, Given]]:
    if table == "kafka":
        for path, value in _flat(entries):
            yield ("kafka_settings", path), Given(_text(value), f"{TOML}: kafka.{path}")
    elif table == "topics":
        for topic, own in entries.items():
            if topic not in _topics():
                raise SettingsError(unknown_setting(f"{TOML}: [topics.{topic}]", list(_topics()), topic))
            for key, value in own.items() if isinstance(own, dict) else ():
                if key not in BY_TOPIC:
                    raise SettingsError(unknown_setting(f"{TOML}: topics.{topic}.{key}", list(BY_TOPIC), key))
                yield ("topics", topic, key), Given(value, f"{TOML}: topics.{topic}.{key}")
    else:
        names = S3_NAMES if table == "s3" else CATALOG_NAMES
        for key, value in entries.items():
            if key.replace("-", "_") not in names:
                raise SettingsError(unknown_setting(f"{TOML}: {table}.{key}", list(names), key))
            full = names[key.replace("-", "_")]
            yield (f"{table}_settings", full), Given(_text(value), f"{TOML}: {table}.{key}")


def _flat(tree: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """TOML reads `sasl.mechanism = ...` as a table. The path is librdkafka's name."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def unknown_setting(origin: str, known: list[str], found: str) -> str:
    """The message for an unknown name, with the nearest known one."""
    near = difflib.get_close_matches(found, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else ".env.example lists all settings"
    return f"{origin}: unknown setting; {hint}"


class LakehouseSource(PydanticBaseSettingsSource):
    """Environment, `.env` and `animeverse.toml` of the working directory as one source of pydantic-settings."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Required by the base class. Not used: `__call__` returns all values."""
        raise NotImplementedError("`__call__` returns all values; the base class requires this method")

    def __call__(self) -> dict[str, Any]:
        """The values by field; tables are nested."""
        return nested(given_settings(self.settings_cls.model_fields))


def nested(given: Mapping[SettingPath, Given]) -> dict[str, Any]:
    """The values as nested dictionaries, as the settings take them."""
    values: dict[str, Any] = {}
    for path, found in given.items():
        level = values
        for part in path[:-1]:
            level = level.setdefault(part, {})
        level[path[-1]] = found.value
    return values


def scalar_fields(fields: Iterable[str]) -> tuple[str, ...]:
    """The settings that are one value each: neither `topics` nor a table of properties."""
    return tuple(field for field in fields if field != "topics" and not field.endswith("_settings"))


def given_settings(fields: Iterable[str]) -> dict[SettingPath, Given]:
    """The settings that the working directory and the environment give."""
    return collect(Path.cwd(), os.environ, scalar_fields(fields))
