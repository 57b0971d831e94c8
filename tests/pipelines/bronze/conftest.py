from pathlib import Path

import pytest

from pipelines.config.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path, without_settings: None) -> Settings:
    return load_settings(home=tmp_path / "home")
