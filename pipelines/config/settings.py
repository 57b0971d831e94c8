"""The settings: one frozen object, read once at the edge and passed down.

They come from arguments, the environment (`ANIMEVERSE_…`), `.env` and `animeverse.toml` of the working directory, in
this order; `settings_sources` reads them. Every one of them stands in `.env.example`. What is unknown, malformed or in
contradiction with another setting is a SettingsError; no message, repr or log shows a secret.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pipelines.config.policies import Policy, Retention
from pipelines.config.sources import LakehouseSource, describe
from pipelines.config.urls import parse_catalog_url, parse_home, parse_lake_root, parse_log_url, sqlite_path
from pipelines.durations import parse_duration, show_duration
from pipelines.errors import SettingsError

Drift = Literal["evolve", "freeze", "quarantine"]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Secrets = Mapping[str, SecretStr]
_LEAST_AGE = timedelta(days=1)


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
    if age < _LEAST_AGE:
        raise ValueError(f"off, or an age of at least {show_duration(_LEAST_AGE)} such as 90d")
    return age


Age = Annotated[timedelta | None, BeforeValidator(_age)]


class TopicSettings(BaseModel):
    """What one topic may have of its own (R18); None: as for all topics."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    out_of_orderness: Duration | None = None
    allowed_lateness: Duration | None = None
    future_tolerance: Duration | None = None
    idle_timeout: Duration | None = None
    drift: Drift | None = None


class Settings(BaseSettings):
    """Everything that can be set. Paths are absolute. Use `load_settings` to get one: its errors are for people."""

    model_config = SettingsConfigDict(
        env_prefix="ANIMEVERSE_", frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )

    home: Annotated[Path, BeforeValidator(parse_home)] = Path("data")
    log_url: Annotated[str, AfterValidator(parse_log_url)] = ""
    catalog_url: Annotated[str, AfterValidator(parse_catalog_url)] = ""
    lake_root: Annotated[str, AfterValidator(parse_lake_root)] = ""
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,100}$")] = ""
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 4
    batch_size: Annotated[int, Field(ge=1)] = 80_000  # most records a topic in a micro-batch
    freshness_target: Duration = timedelta(seconds=1)
    keep_commits: Annotated[int, Field(ge=1)] = 20  # snapshots a table keeps: the newest,
    keep_hourly: Annotated[int, Field(ge=0)] = 24  # then the last of each hour for so many hours,
    keep_daily: Annotated[int, Field(ge=0)] = 30  # then the last of each day for so many days
    orphan_age: Duration = timedelta(hours=1)  # files that nothing refers to are left alone so long
    bronze_retention: Age = None  # days of bronze that are older and judged go; None: bronze keeps all
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    min_event_time: Annotated[datetime, BeforeValidator(_moment)] = datetime(2000, 1, 1, tzinfo=UTC)
    out_of_orderness: Duration = timedelta(minutes=10)
    allowed_lateness: Duration = timedelta(hours=48)
    future_tolerance: Duration = timedelta(minutes=5)
    idle_timeout: Duration = timedelta(minutes=5)
    drift: Drift = "evolve"
    topics: Mapping[str, TopicSettings] = {}
    kafka_settings: Secrets = {}  # librdkafka's own names: `sasl.mechanism`
    s3_settings: Secrets = {}  # PyIceberg's: `s3.endpoint`
    catalog_settings: Secrets = {}  # PyIceberg's: `token`

    def model_post_init(self, _context: object) -> None:
        """Fill in what follows from the home, then refuse contradictions."""
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
        if self.catalog_settings and self.catalog_path is not None:
            raise SettingsError(
                f"catalog settings are given ({', '.join(sorted(self.catalog_settings))}), but ANIMEVERSE_CATALOG_URL "
                f"is {self.catalog_url}: expected http(s)://… of a REST catalog, or none of them"
            )
        for topic in (None, *self.topics):
            own = self.topics[topic] if topic else TopicSettings()
            lateness = own.allowed_lateness if own.allowed_lateness is not None else self.allowed_lateness
            disorder = own.out_of_orderness if own.out_of_orderness is not None else self.out_of_orderness
            if lateness < disorder:
                raise SettingsError(
                    f"allowed_lateness is {show_duration(lateness)}, out_of_orderness {show_duration(disorder)}"
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
        """Arguments first; environment, `.env` and `animeverse.toml` by our own source, which knows every name."""
        return (init_settings, LakehouseSource(settings_cls))

    def policy(self, topic: str) -> Policy:
        """What decides the verdicts of this topic's records."""
        own = self.topics.get(topic, TopicSettings())

        def chosen(name: str) -> Any:
            value = getattr(own, name)
            return getattr(self, name) if value is None else value

        return Policy(
            out_of_orderness=chosen("out_of_orderness"),
            allowed_lateness=chosen("allowed_lateness"),
            future_tolerance=chosen("future_tolerance"),
            idle_timeout=chosen("idle_timeout"),
            drift=chosen("drift"),
            currency=self.currency,
            min_event_time=self.min_event_time,
        )

    @property
    def retention(self) -> Retention:
        """Which snapshots are kept."""
        return Retention(self.keep_commits, self.keep_hourly, self.keep_daily, self.orphan_age)

    @property
    def kafka(self) -> dict[str, str]:
        """Properties for librdkafka, secrets revealed: hand it on, never print it."""
        return _revealed(self.kafka_settings)

    @property
    def s3(self) -> dict[str, str]:
        """PyIceberg's `s3.*` properties, secrets revealed: hand it on, never print it.

        PyIceberg asks AWS where a bucket is when no region is given; a server of one's own is none of AWS's business.
        """
        found = _revealed(self.s3_settings)
        return {"s3.region": "us-east-1", **found} if "s3.endpoint" in found else found

    @property
    def catalog(self) -> dict[str, str]:
        """PyIceberg's properties of a REST catalog, secrets revealed: hand it on, never print it."""
        return _revealed(self.catalog_settings)

    @property
    def log_path(self) -> Path | None:
        """The embedded log's file; None: the log is Kafka's."""
        return sqlite_path(self.log_url)

    @property
    def catalog_path(self) -> Path | None:
        """The SQLite catalog's file; None: the catalog is a REST one."""
        return sqlite_path(self.catalog_url)

    @property
    def published_path(self) -> Path:
        """The warehouse that readers open."""
        return self.home / "gold" / "animeverse.duckdb"

    def topic_name(self, topic: str) -> str:
        """The topic's name in the log, prefix included."""
        return self.topic_prefix + topic


def _revealed(secrets: Secrets) -> dict[str, str]:
    return {name: secret.get_secret_value() for name, secret in secrets.items()}


def load_settings(**overrides: Any) -> Settings:
    """The settings; `overrides` win, those that are None don't count. Raises SettingsError."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(describe(error, given)) from None
