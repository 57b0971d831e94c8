"""The settings: one frozen object, read once at the edge and passed down.

They come, in this order of precedence, from arguments, the environment (`ANIMEVERSE_...`), `.env` and `animeverse.toml`
in the working directory; `sources.py` reads them. `.env.example` lists all of them. An unknown, malformed or
contradictory setting raises SettingsError. No message, repr or log shows a secret.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pipelines.config.error_message import describe
from pipelines.config.policies import DEFAULT_POLICY, Policy, Retention
from pipelines.config.sources import LakehouseSource
from pipelines.config.topic_settings import BY_TOPIC, Drift, Duration, TopicSettings
from pipelines.config.urls import (
    CatalogKind,
    catalog_kind,
    parse_catalog_url,
    parse_home,
    parse_lake_root,
    parse_log_url,
    sqlite_path,
)
from pipelines.durations import parse_duration, show_duration
from pipelines.errors import SettingsError

__all__ = ["Drift", "Duration", "Settings", "TopicSettings", "load_settings"]

Secrets = Mapping[str, SecretStr]
_MIN_AGE = timedelta(days=1)


def _moment(value: object) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("a time with its zone, such as 2000-01-01T00:00:00Z")
    return moment.astimezone(UTC)


def _age(value: object) -> timedelta | None:
    if value is None or value == "off":
        return None
    try:
        age = parse_duration(value)
    except ValueError:
        age = timedelta(0)
    if age < _MIN_AGE:
        raise ValueError(f"off, or an age of at least {show_duration(_MIN_AGE)} such as 90d")
    return age


Age = Annotated[timedelta | None, BeforeValidator(_age)]


class Settings(BaseSettings):
    """All settings, with absolute paths. Create it with `load_settings`, which raises readable errors."""

    model_config = SettingsConfigDict(
        env_prefix="ANIMEVERSE_", frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )

    home: Annotated[Path, BeforeValidator(parse_home)] = Path("data")
    log_url: Annotated[str, AfterValidator(parse_log_url)] = ""
    catalog_url: Annotated[str, AfterValidator(parse_catalog_url)] = ""
    lake_root: Annotated[str, AfterValidator(parse_lake_root)] = ""
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,100}$")] = ""
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 4
    batch_size: Annotated[int, Field(ge=1)] = 80_000  # maximum records per topic in a micro-batch
    freshness_target: Duration = timedelta(seconds=1)
    keep_commits: Annotated[int, Field(ge=1)] = 20  # snapshots that a table keeps: the newest,
    keep_hourly: Annotated[int, Field(ge=0)] = 24  # then the last of each hour, for this number of hours,
    keep_daily: Annotated[int, Field(ge=0)] = 30  # then the last of each day, for this number of days
    orphan_age: Duration = timedelta(hours=1)  # unreferenced files are deleted after this time
    bronze_retention: Age = None  # older days that silver has consumed are removed; None: keep all
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = DEFAULT_POLICY.currency
    min_event_time: Annotated[datetime, BeforeValidator(_moment)] = DEFAULT_POLICY.min_event_time
    out_of_orderness: Duration = DEFAULT_POLICY.out_of_orderness
    allowed_lateness: Duration = DEFAULT_POLICY.allowed_lateness
    future_tolerance: Duration = DEFAULT_POLICY.future_tolerance
    idle_timeout: Duration = DEFAULT_POLICY.idle_timeout
    drift: Drift = "evolve"
    topics: Mapping[str, TopicSettings] = {}
    kafka_settings: Secrets = {}  # by librdkafka's names, such as `sasl.mechanism`
    s3_settings: Secrets = {}  # by PyIceberg's names, such as `s3.endpoint`
    catalog_settings: Secrets = {}  # by PyIceberg's names, such as `token`

    def model_post_init(self, _context: object) -> None:
        """Derive the addresses that depend on the home, then check for contradictions."""
        derived = {
            "log_url": f"sqlite:///{self.home / 'log.db'}",
            "catalog_url": f"sqlite:///{self.home / 'catalog.db'}",
            "lake_root": str(self.home / "lake"),
        }
        for name, value in derived.items():
            if not getattr(self, name):
                object.__setattr__(self, name, value)
                self.__dict__[name] = value
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        if self.kafka_settings and not self.log_url.startswith("kafka://"):
            raise SettingsError(
                f"Kafka settings are given ({', '.join(sorted(self.kafka_settings))}), but ANIMEVERSE_LOG_URL is "
                f"{self.log_url}: expected kafka://host:port, or none of them"
            )
        if {"bootstrap.servers", "metadata.broker.list"} & set(self.kafka_settings):
            raise SettingsError(
                f"the brokers' address is given twice: expected it in ANIMEVERSE_LOG_URL ({self.log_url}) only"
            )
        if self.catalog_settings and self.catalog_kind != "rest":
            raise SettingsError(
                f"catalog settings are given ({', '.join(sorted(self.catalog_settings))}), but ANIMEVERSE_CATALOG_URL "
                f"is {self.catalog_url}: expected http(s)://… of a REST catalog, or none of them"
            )
        for topic in (None, *self.topics):
            policy = self.policy(topic or "")
            if policy.allowed_lateness < policy.out_of_orderness:
                raise SettingsError(
                    f"allowed_lateness is {show_duration(policy.allowed_lateness)}, "
                    f"out_of_orderness {show_duration(policy.out_of_orderness)}"
                    f"{f' for {topic}' if topic else ''}: expected ANIMEVERSE_ALLOWED_LATENESS to be at least "
                    "ANIMEVERSE_OUT_OF_ORDERNESS"
                )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then `LakehouseSource`, which reads the environment, `.env` and `animeverse.toml`."""
        return (init_settings, LakehouseSource(settings_cls))

    def policy(self, topic: str) -> Policy:
        """The policy of a topic: its own settings over those of all topics."""
        values = {field.name: getattr(self, field.name) for field in fields(Policy)}
        own = self.topics.get(topic, TopicSettings())
        overrides = {name: value for name in BY_TOPIC if (value := getattr(own, name)) is not None}
        return Policy(**values | overrides)

    @property
    def retention(self) -> Retention:
        """The retention of snapshots."""
        return Retention(self.keep_commits, self.keep_hourly, self.keep_daily, self.orphan_age)

    @property
    def kafka(self) -> dict[str, str]:
        """Properties for librdkafka, with secrets revealed. Never print them."""
        return _revealed(self.kafka_settings)

    @property
    def s3(self) -> dict[str, str]:
        """PyIceberg's `s3.*` properties, with secrets revealed. Never print them.

        Without a region PyIceberg asks AWS for the bucket's region. An own endpoint gets a default region, so that AWS
        is not asked.
        """
        properties = _revealed(self.s3_settings)
        return {"s3.region": "us-east-1", **properties} if "s3.endpoint" in properties else properties

    @property
    def catalog(self) -> dict[str, str]:
        """PyIceberg's properties of a REST catalog, with secrets revealed. Never print them."""
        return _revealed(self.catalog_settings)

    @property
    def log_path(self) -> Path | None:
        """The file of the embedded log; None for a Kafka log."""
        return sqlite_path(self.log_url)

    @property
    def catalog_kind(self) -> CatalogKind:
        """`sql` for a SQLite catalog, `rest` for a REST catalog."""
        return catalog_kind(self.catalog_url)

    @property
    def catalog_path(self) -> Path | None:
        """The file of a SQLite catalog; None for a REST catalog."""
        return sqlite_path(self.catalog_url)

    @property
    def is_catalog_missing(self) -> bool:
        """Whether the file of a SQLite catalog does not exist. False for a REST catalog, which is not asked."""
        path = self.catalog_path
        return path is not None and not path.exists()

    @property
    def published_path(self) -> Path:
        """The published warehouse file, which readers open."""
        return self.home / "gold" / "animeverse.duckdb"

    def topic_name(self, topic: str) -> str:
        """The topic's name in the log, with the prefix."""
        return self.topic_prefix + topic


def _revealed(secrets: Secrets) -> dict[str, str]:
    return {name: secret.get_secret_value() for name, secret in secrets.items()}


def load_settings(**overrides: Any) -> Settings:
    """Read the settings. `overrides` take precedence; those that are None are ignored. Raises SettingsError."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(describe(error, given, tuple(Settings.model_fields))) from None
