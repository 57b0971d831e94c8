from pathlib import Path

import pytest

from animeverse.services.demo import MARK, delete
from pipelines.config.settings import Settings, load_settings
from pipelines.errors import UsageError


def test_a_home_that_no_demo_made_is_not_deleted(settings: Settings) -> None:
    settings.home.mkdir()
    (settings.home / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="was not made by a demo"):
        delete(settings)
    assert (settings.home / "thesis.txt").exists()


def test_a_lake_outside_of_the_home_is_not_deleted(settings: Settings, tmp_path: Path) -> None:
    settings.home.mkdir()
    (settings.home / MARK).write_text("{}")
    elsewhere = load_settings(home=settings.home, lake_root=str(tmp_path / "lake"))
    with pytest.raises(UsageError, match="is outside"):
        delete(elsewhere)
    delete(settings)
    assert [path.name for path in settings.home.iterdir()] == ["run.lock"]


def test_delete_follows_no_link_out_of_the_home(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    settings.home.mkdir()
    (settings.home / MARK).write_text("{}")
    (settings.home / "link").symlink_to(tmp_path / "other")
    delete(settings)
    assert (tmp_path / "other" / "file").exists()
