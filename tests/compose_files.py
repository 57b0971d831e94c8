"""The merged compose files: mappings merged by key, mounts by target, other lists replaced, as Compose does."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
BASE, SECURE = ROOT / "docker-compose.yml", ROOT / "docker-compose.secure.yml"
OURS = ("bucket", "prefect-server", "worker", "pipeline", "jupyter", "producers")  # run from the product's image

_MOUNTS = ("secrets", "configs")


def compose(secure: bool = False) -> dict[str, Any]:
    """Return docker-compose.yml, or both files merged."""
    base = yaml.safe_load(BASE.read_text())
    return _merged(base, yaml.safe_load(SECURE.read_text())) if secure else dict(base)


def environment(service: str, secure: bool) -> dict[str, str]:
    """Return the environment that Compose gives the service."""
    return {name: str(value) for name, value in compose(secure)["services"][service].get("environment", {}).items()}


def mounted(service: dict[str, Any], kind: str) -> dict[str, str]:
    """Return target -> source of a service's secrets or configs."""
    return dict(_mount(one) for one in service.get(kind, []))


def _mount(one: str | dict[str, str]) -> tuple[str, str]:
    if isinstance(one, str):
        return f"/run/secrets/{one}", one
    return one["target"], one["source"]


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = _merged(below, value)
        elif key in _MOUNTS and isinstance(below, list) and isinstance(value, list):
            mounts = {_mount(one)[0]: one for one in [*below, *value]}
            merged[key] = list(mounts.values())
        else:
            merged[key] = value
    return merged
