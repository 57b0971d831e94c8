from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipelines.durations import parse_duration, show_duration


@given(st.integers(min_value=0, max_value=10**12))
def test_a_displayed_duration_parses_to_itself(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(show_duration(duration)) == duration
