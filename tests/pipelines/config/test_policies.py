import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipelines.config.policies import Policy
from pipelines.config.settings import load_settings


@given(
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000)),
    st.datetimes(timezones=st.just(UTC)),
    st.sampled_from(["evolve", "freeze", "quarantine"]),
)
def test_a_policy_survives_json_to_the_microsecond(duration: timedelta, moment: datetime, drift: str) -> None:
    policy = Policy(duration, duration * 2, timedelta(0), duration, drift, "EUR", moment)
    assert Policy.from_json(policy.to_json()) == policy


def test_a_stored_policy_without_newer_fields_gets_their_defaults() -> None:
    stored = json.loads(Policy(allowed_lateness=timedelta(hours=1), currency="JPY").to_json())
    del stored["idle_timeout"], stored["min_event_time"]
    read = Policy.from_json(json.dumps({**stored, "a_field_of_a_later_version": 1}))
    assert read == Policy(allowed_lateness=timedelta(hours=1), currency="JPY")


def test_a_stored_policy_of_the_first_version_is_read() -> None:
    text = (
        '{"allowed_lateness": 172800000000, "currency": "EUR", "drift": "freeze", "future_tolerance": 300000000, '
        '"idle_timeout": 300000000, "min_event_time": "2000-01-01T00:00:00+00:00", "out_of_orderness": 600000000}'
    )
    assert Policy.from_json(text) == Policy(drift="freeze")
    assert Policy(drift="freeze").to_json() == text


def test_the_default_policy_is_the_policy_of_the_default_settings() -> None:
    assert load_settings().policy("pos-transactions") == Policy()
