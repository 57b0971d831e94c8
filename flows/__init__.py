"""Prefect's view of the pipeline. Nothing is decided here: each flow calls what the command line calls.

Prefect's own files go into the lakehouse's home, and nothing calls outside; what the environment says already stands.
"""

import os

from pipelines.settings import load_settings

os.environ.setdefault("PREFECT_HOME", str(load_settings().home / "prefect"))
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")  # 10-24 s on an idle machine
