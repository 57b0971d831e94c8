import os

import pytest


@pytest.fixture
def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith(("ANIMEVERSE_", "AWS_")) and not name.startswith("ANIMEVERSE_TEST_"):
            monkeypatch.delenv(name)
