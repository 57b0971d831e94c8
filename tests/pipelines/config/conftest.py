from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_settings: None) -> None:
    monkeypatch.chdir(tmp_path)
