"""Settings that one topic may override, and the types that they share with the settings of all topics."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from pipelines.durations import parse_duration

Drift = Literal["evolve", "freeze", "quarantine"]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


class TopicSettings(BaseModel):
    """The settings of one topic (R18). None means: as for all topics."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    out_of_orderness: Duration | None = None
    allowed_lateness: Duration | None = None
    future_tolerance: Duration | None = None
    idle_timeout: Duration | None = None
    drift: Drift | None = None


BY_TOPIC = tuple(TopicSettings.model_fields)  # names of the settings that one topic may override
