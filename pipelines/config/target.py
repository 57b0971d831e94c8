"""Settings of another place than the one that is worked in: where `animeverse migrate` copies to."""

import os
from pathlib import Path
from typing import Any

from pipelines.config.settings import Settings, load_settings
from pipelines.config.sources import PREFIX, collect, dot_env
from pipelines.errors import SettingsError


def target_settings(
    home: Path | None, file: Path | None, catalog_url: str | None = None, lake_root: str | None = None
) -> Settings:
    """The settings that are in force, with those of a `.env` file over them, and the two addresses over both.

    Raises SettingsError: the file cannot be read, or says what is no setting.
    """
    given: dict[str, Any] = {}
    if file is not None:
        if not file.is_file():
            raise SettingsError(f"{file}: expected a readable file of settings, such as a copy of .env.example")
        fields = tuple(name for name in Settings.model_fields if name != "topics" and not name.endswith("_settings"))
        nowhere = Path(os.devnull)  # no .env or animeverse.toml of a folder: only this file
        for where, found in collect(nowhere, dot_env(file), fields).items():
            level = given
            for part in where[:-1]:
                level = level.setdefault(part, {})
            level[where[-1]] = found.value
    given.pop("home", None)  # the source's locks and the copy under way are in the home that is worked in
    asked = {"catalog_url": catalog_url, "lake_root": lake_root}
    given |= {name: value for name, value in asked.items() if value is not None}
    missing = [f"{PREFIX}{name.upper()}" for name in ("catalog_url", "lake_root") if not given.get(name)]
    if missing:
        raise SettingsError(
            f"where to is not said: expected {' and '.join(missing)} in the file of --to, or --to-catalog and "
            "--to-lake-root"
        )
    return load_settings(home=home, **given)
