"""Benchmark results: figures with every repetition, machine and versions, to and from JSON."""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
_LIBRARIES = ("polars", "pyarrow", "duckdb", "pyiceberg", "confluent-kafka", "prefect")


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure with the value of each repetition."""

    name: str
    unit: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        """The median of the repetitions."""
        return statistics.median(self.values)


@dataclass(slots=True)
class Result:
    """Figures of a benchmark. `faults` are the reasons why they are invalid; `details` explain them."""

    benchmark: str
    options: Mapping[str, Any]
    figures: list[Figure] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    measured_at: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)

    def add(self, name: str, unit: str, value: float) -> None:
        """Add the value of one repetition to a figure."""
        for index, known in enumerate(self.figures):
            if known.name == name:
                self.figures[index] = Figure(name, unit, [*known.values, value])
                return
        self.figures.append(Figure(name, unit, [value]))

    def to_json(self) -> str:
        """Return the result as JSON, including minimum, median and maximum of each figure."""
        self.measured_at = self.measured_at or datetime.now(UTC).isoformat(timespec="seconds")
        self.machine = self.machine or machine()
        shown = asdict(self)
        for figure, entry in zip(self.figures, shown["figures"], strict=True):
            entry |= {"minimum": min(figure.values), "median": figure.median, "maximum": max(figure.values)}
        return json.dumps(shown, indent=1, default=str) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Result":
        """Return the result that `to_json` wrote."""
        found = json.loads(text)
        figures = [Figure(entry["name"], entry["unit"], entry["values"]) for entry in found.pop("figures")]
        return cls(figures=figures, **found)

    def save(self, folder: Path = FOLDER) -> Path:
        """Write a file named after the benchmark and, unless embedded, the log."""
        folder.mkdir(parents=True, exist_ok=True)
        log = self.options.get("log", "embedded")
        file = folder / (f"{self.benchmark}.json" if log == "embedded" else f"{self.benchmark}.{log}.json")
        file.write_text(self.to_json())
        return file


def saved(folder: Path = FOLDER) -> list[Result]:
    """Return all saved results."""
    return [Result.from_json(file.read_text()) for file in sorted(folder.glob("*.json"))]


def machine() -> dict[str, Any]:
    """Describe the machine and the versions."""
    cpu = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=FOLDER.parent, check=False
    )
    return {
        "cpus": os.cpu_count(),
        "cpu": cpu or platform.machine(),
        "memory_gib": round(memory / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "versions": {name: version(name) for name in _LIBRARIES},
        "commit": commit.stdout.strip(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
