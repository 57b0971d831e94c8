"""Settings of the target of `animeverse migrate`."""

import os
from pathlib import Path
from typing import Any

from pipelines.config.settings import Settings, load_settings
from pipelines.config.sources import PREFIX, collect, dot_env, nested, scalar_fields
from pipelines.errors import SettingsError


def target_settings(
    home: Path | None, file: Path | None, catalog_url: str | None = None, lake_root: str | None = None
) -> Settings:
    """The current settings, overridden by those of a `.env` file and then by the two addresses.

    Raises SettingsError if the file cannot be read or contains an unknown setting, or if an address is missing.
    """
    given: dict[str, Any] = {}
    if file is not None:
        if not file.is_file():
            raise SettingsError(f"{file}: expected a readable file of settings, such as a copy of .env.example")
        no_folder = Path(os.devnull)  # read only this file, and no .env or animeverse.toml of a folder
        given = nested(collect(no_folder, dot_env(file), scalar_fields(Settings.model_fields)))
    given.pop("home", None)  # the locks of the source and the unfinished copy are in the current home
    arguments = {"catalog_url": catalog_url, "lake_root": lake_root}
    given |= {name: value for name, value in arguments.items() if value is not None}
    missing = [f"{PREFIX}{name.upper()}" for name in ("catalog_url", "lake_root") if not given.get(name)]
    if missing:
        raise SettingsError(
            f"the target of the migration is missing: expected {' and '.join(missing)} in the file of --to, or "
            "--to-catalog and --to-lake-root"
        )
    return load_settings(home=home, **given)
