import pytest

from pipelines.config.settings import load_settings
from pipelines.errors import SettingsError


def refusal(**overrides: object) -> str:
    """The message with which `load_settings` refuses the settings."""
    with pytest.raises(SettingsError) as caught:
        load_settings(**overrides)
    return str(caught.value)
