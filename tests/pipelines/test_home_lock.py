"""The home's lock has one holder, and names it."""

import os
from pathlib import Path

import pytest

from pipelines.errors import AlreadyRunningError
from pipelines.home_lock import home_lock, is_locked


def test_a_second_holder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    with home_lock(tmp_path), pytest.raises(AlreadyRunningError, match=rf"pid {os.getpid()}\)"), home_lock(tmp_path):
        pass


def test_locks_of_different_names_are_independent(tmp_path: Path) -> None:
    with home_lock(tmp_path), home_lock(tmp_path, "release"):
        assert is_locked(tmp_path)
        assert is_locked(tmp_path, "release")
        assert not is_locked(tmp_path, "guest")


def test_a_released_lock_is_free(tmp_path: Path) -> None:
    with home_lock(tmp_path):
        pass
    assert not is_locked(tmp_path)
    with home_lock(tmp_path):
        assert is_locked(tmp_path)


def test_probing_creates_no_lock_file(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []
