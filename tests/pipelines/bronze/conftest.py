from pathlib import Path

import pytest

from pipelines.config.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path, without_settings: None, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home whose landing files settle at the first look."""
    monkeypatch.setattr("pipelines.bronze.landing_folder.SETTLED_SECONDS", 0.0)
    return load_settings(home=tmp_path / "home")
