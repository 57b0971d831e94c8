"""The probe of `doctor` that looks at the landing folder."""

from pathlib import Path

from pipelines.bronze.landing_problems import landing_problems
from pipelines.operations.doctor_finding import Finding

_SHOWN = 3


def landing(home: Path) -> Finding:
    """Whether something in the landing folder is not read."""
    problems = landing_problems(home)
    if not problems:
        return Finding("landing", "ok", "nothing in it is refused")
    shown = "; ".join(f"{of.path} {of.detail}" for of in problems[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN} more, see `animeverse status`" if len(problems) > _SHOWN else ""
    return Finding("landing", "warn", shown + more, "correct or remove them; everything else is ingested")
