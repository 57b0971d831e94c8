"""Runs all layers of a home in a separate process, which a test can kill: `crash_driver HOME SIZE [--follow]`."""

import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from pipelines.config.settings import load_settings
from pipelines.microbatch.loop import run
from pipelines.microbatch.report import LAYERS
from warehouse.writer import Warehouse


def main(home: Path, batch_size: int, *, follow: bool) -> None:
    settings = load_settings(home=home, batch_size=batch_size)
    with closing(Warehouse(settings.home / "gold")) as gold:
        run(
            settings,
            LAYERS,
            follow=follow,
            gold=gold,
            clock=lambda: datetime.now(UTC),
            progress=lambda progress: None,
            stop=threading.Event(),
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), follow="--follow" in sys.argv)
