"""Reads the environment, `.env` and `animeverse.toml`, and knows every name that may stand there.

Used only by `settings`. What is given is a flat mapping from a path in the settings (`("kafka_settings",
"sasl.mechanism")`) to its value and where it was found, so that a message can name the variable. An empty variable
counts as not given, as compose files pass them.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from pipelines.errors import SettingsError

PREFIX = "ANIMEVERSE_"
TOML = "animeverse.toml"
BY_TOPIC = ("out_of_orderness", "allowed_lateness", "future_tolerance", "idle_timeout", "drift")
TABLES = ("topics", "kafka", "s3", "catalog")  # of animeverse.toml
NOT_OURS = ("ANIMEVERSE_TEST_", "ANIMEVERSE_FAULT")  # the test suites' own

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
# Taken where our own name is not given: what every S3 client reads.
AWS_NAMES = {
    "AWS_ENDPOINT_URL": "s3.endpoint",
    "AWS_ENDPOINT_URL_S3": "s3.endpoint",
    "AWS_ACCESS_KEY_ID": "s3.access-key-id",
    "AWS_SECRET_ACCESS_KEY": "s3.secret-access-key",
    "AWS_SESSION_TOKEN": "s3.session-token",
    "AWS_DEFAULT_REGION": "s3.region",
    "AWS_REGION": "s3.region",
}

Where = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was found, and the name it goes by there."""

    value: Any
    origin: str


def collect(folder: Path, environment: Mapping[str, str], fields: tuple[str, ...]) -> dict[Where, Given]:
    """All that is given: environment over `.env` over `animeverse.toml`. Raises SettingsError on unknown names."""
    given = _from_toml(folder / TOML, fields)
    for variables, source in ((dot_env(folder / ".env"), " (.env)"), (environment, "")):
        for name, where in AWS_NAMES.items():
            if variables.get(name):
                given[("s3_settings", where)] = Given(variables[name], name + source)
        for name, value in variables.items():
            if name.startswith(PREFIX) and not name.startswith(NOT_OURS):
                where_ = _variable(name, source, fields)
                if value:
                    given[where_] = Given(value, name + source)
    return given


def dot_env(path: Path) -> dict[str, str]:
    """The variables of a `.env` file; none where there is none. Raises SettingsError."""
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        return {name: value or "" for name, value in dotenv_values(path, encoding="utf-8").items()}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: expected a readable UTF-8 text: {error}") from None


def _variable(name: str, source: str, fields: tuple[str, ...]) -> Where:
    """The place in the settings that the variable fills."""
    key = name.removeprefix(PREFIX)
    if re.fullmatch(r"KAFKA_[A-Z0-9_]+", key):
        return ("kafka_settings", key.removeprefix("KAFKA_").lower().replace("_", "."))
    known: dict[str, Where] = {field.upper(): (field,) for field in fields}
    known |= {f"S3_{short.upper()}": ("s3_settings", full) for short, full in S3_NAMES.items()}
    known |= {f"CATALOG_{short.upper()}": ("catalog_settings", full) for short, full in CATALOG_NAMES.items()}
    if "__" in key or key not in known:
        known |= {f"{name.upper()}__{_suffix(t)}": ("topics", t, name) for t in _topics() for name in BY_TOPIC}
    if key not in known:
        raise SettingsError(_unknown(name + source, [PREFIX + one for one in (*known, "KAFKA_…")], name))
    return known[key]


def _topics() -> tuple[str, ...]:
    from pipelines.contracts.registry import (
        TOPICS,  # here: contracts take a second to import and few settings need them
    )

    return TOPICS


def _suffix(topic: str) -> str:
    return topic.upper().replace("-", "_")


def _from_toml(path: Path, fields: tuple[str, ...]) -> dict[Where, Given]:
    if not path.is_file():
        return {}
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: expected readable TOML: {error}") from None
    return dict(_toml_entries(tree, fields))


def _toml_entries(tree: dict[str, Any], fields: tuple[str, ...]) -> Iterator[tuple[Where, Given]]:
    for key, value in tree.items():
        if key in TABLES:
            if not isinstance(value, dict):
                raise SettingsError(f"{TOML}: expected a table [{key}], found {type(value).__name__}")
            yield from _toml_table(key, value)
        elif key in fields:
            yield (key,), Given(value, f"{TOML}: {key}")
        else:
            raise SettingsError(_unknown(f"{TOML}: {key}", [*fields, *TABLES], key))


def _toml_table(table: str, entries: dict[str, Any]) -> Iterator[tuple[Where, Given]]:
    if table == "kafka":
        for path, value in _flat(entries):
            yield ("kafka_settings", path), Given(_text(value), f"{TOML}: kafka.{path}")
    elif table == "topics":
        for topic, own in entries.items():
            if topic not in _topics():
                raise SettingsError(_unknown(f"{TOML}: [topics.{topic}]", list(_topics()), topic))
            for key, value in own.items() if isinstance(own, dict) else ():
                if key not in BY_TOPIC:
                    raise SettingsError(_unknown(f"{TOML}: topics.{topic}.{key}", list(BY_TOPIC), key))
                yield ("topics", topic, key), Given(value, f"{TOML}: topics.{topic}.{key}")
    else:
        names = S3_NAMES if table == "s3" else CATALOG_NAMES
        for key, value in entries.items():
            if key.replace("-", "_") not in names:
                raise SettingsError(_unknown(f"{TOML}: {table}.{key}", list(names), key))
            full = names[key.replace("-", "_")]
            yield (f"{table}_settings", full), Given(_text(value), f"{TOML}: {table}.{key}")


def _flat(tree: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """`sasl.mechanism = …` is a table in TOML, too; librdkafka's name is the path."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown(origin: str, known: list[str], found: str) -> str:
    near = difflib.get_close_matches(found, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "the known ones stand in .env.example"
    return f"{origin} is no setting: {hint}"


class LakehouseSource(PydanticBaseSettingsSource):
    """Environment, `.env` and `animeverse.toml` of the working directory as one source."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: `__call__` gives all values at once."""
        raise NotImplementedError("`__call__` gives all values at once; the base class insists on this one")

    def __call__(self) -> dict[str, Any]:
        """The values by field, tables nested."""
        values: dict[str, Any] = {}
        for where, given in _collected(tuple(self.settings_cls.model_fields)).items():
            level = values
            for part in where[:-1]:
                level = level.setdefault(part, {})
            level[where[-1]] = given.value
        return values


def _collected(fields: tuple[str, ...]) -> dict[Where, Given]:
    return collect(Path.cwd(), os.environ, tuple(f for f in fields if f != "topics" and not f.endswith("_settings")))


EXPECTED = {
    "batch_size": "a whole number of at least 1",
    "partitions": "a whole number from 1 to 10,000",
    "topic_prefix": "letters, digits, dots, dashes or underscores, at most 100",
    "currency": "three capital letters such as EUR",
    "min_event_time": "a time with its zone, such as 2000-01-01T00:00:00Z",
    "drift": "evolve, freeze or quarantine",
}


def describe(error: ValidationError, arguments: Mapping[str, Any]) -> str:
    """One line a fault: name, what is expected, what was found. Secrets are no fault's subject and are never shown."""
    fields = tuple(error_field for error_field in _fields())
    given = _collected(fields)
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        where = tuple(str(part) for part in fault["loc"])
        name, origin, found = where[-1], where[0], arguments.get(where[0])
        if where[0] not in arguments and where in given:
            origin, found = given[where].origin, given[where].value
        if fault["type"] == "extra_forbidden":
            lines.append(_unknown(origin, list(fields), name))
        elif where[0].endswith("_settings"):
            lines.append(f"{origin}: expected a text")
        else:
            expected = EXPECTED.get(name) or str(fault.get("ctx", {}).get("error", fault["msg"]))
            lines.append(f"{origin}: expected {expected}, found {_shown(found)}")
    return "\n".join(lines)


def _fields() -> tuple[str, ...]:
    from pipelines.config.settings import Settings

    return tuple(Settings.model_fields)


def _shown(value: object) -> str:
    """The value with what stands before an @ in an address blanked."""
    return re.sub(r"//[^/]*@", "//***@", repr(str(value)) if value is not None else "nothing")
