"""Opening the log that the settings name."""

from contextlib import closing
from pathlib import Path

import pytest

from pipelines.config.log import connect_log, open_log_of
from pipelines.config.settings import load_settings

pytestmark = pytest.mark.usefixtures("without_settings")


def test_the_log_of_the_settings_is_opened_with_their_topic_prefix(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, topic_prefix="shop.")
    with closing(open_log_of(settings)) as log:
        log.ensure_topics(["t"])
    with closing(open_log_of(load_settings(home=tmp_path))) as log:
        assert log.topic_state("shop.t").end_offsets == dict.fromkeys(range(4), 0)


def test_an_unreachable_log_is_reported_and_a_reachable_one_is_open(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    with closing(connect_log(settings)) as connection:
        assert connection.log is None
        assert connection.error is not None and "there is no log at" in connection.error
    with closing(open_log_of(settings)) as log:
        log.ensure_topics(["t"])
    with closing(connect_log(settings)) as connection:
        assert connection.log is not None and connection.error is None
