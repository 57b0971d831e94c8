from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.config.settings import Settings, load_settings
from tests.pipelines.quarantine.releases import TOO_LATE
from tests.pipelines.small_home import DAY, movement, run_layers, send


@pytest.fixture
def settings(tmp_path: Path, without_settings: None) -> Settings:
    """One accepted event, three that are too late, one of tomorrow, one of the wrong type, one that is no JSON."""
    home = tmp_path / "home"
    send(home, [movement(0)])
    late = [movement(number, event_time=TOO_LATE.isoformat()) for number in (1, 2, 3)]
    send(home, late, at=DAY, headers=[("source", b"till 7")])
    send(home, [movement(4, event_time=(datetime.now(UTC) + timedelta(days=300)).isoformat())], at=DAY)
    send(home, [movement(5, quantity="6"), b"{no json"])
    run_layers(home)
    return load_settings(home=home)
