from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.config.settings import load_settings
from pipelines.lake.catalog import Lake


@pytest.fixture
def lake(tmp_path: Path, without_settings: None) -> Iterator[Lake]:
    with closing(Lake.open(load_settings(home=tmp_path))) as opened:
        yield opened
