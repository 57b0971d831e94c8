"""No setting of whoever runs the tests reaches them, but for the broker that the broker tests may use."""

import os

import pytest

_log = os.environ.get("ANIMEVERSE_LOG_URL", "")
if _log.startswith("kafka://"):
    os.environ.setdefault("ANIMEVERSE_TEST_KAFKA", _log)
for _name in [name for name in os.environ if name.startswith("ANIMEVERSE_") and "_TEST_" not in name]:
    del os.environ[_name]


@pytest.fixture
def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even those that every S3 client reads."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
