"""The goals: the figure of each, the required value and the target value."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal for one figure. With `is_most` the value must be at most `must` (target `aim`), otherwise at least.

    `size` is an option of the benchmark and the smallest value for which the figure answers the goal.
    """

    measure: str
    figure: str
    must: float
    aim: float
    unit: str = ""
    is_most: bool = True
    size: tuple[str, int] | None = None

    def smaller(self, options: Mapping[str, object]) -> str:
        """Describe the size if it was smaller than the goal's; empty otherwise."""
        if self.size is None or int(str(options[self.size[0]])) >= self.size[1]:
            return ""
        return f"with {options[self.size[0]]:,} {self.size[0]}"

    def verdict(self, value: float) -> str:
        """Return `aim`, `must` or `**missed**`."""
        if value <= self.aim if self.is_most else value >= self.aim:
            return "aim"
        return "must" if (value <= self.must if self.is_most else value >= self.must) else "**missed**"

    def bound(self, value: float) -> str:
        """Return the bound as text for the table."""
        return f"{'≤' if self.is_most else '≥'} {value:,g}{' ' + self.unit if self.unit else ''}"


def _catch_up(load: str, log: str) -> tuple[Goal, ...]:
    what, name = f"{load}, {log} log", f"catch_up.{load}.{log}"
    found = [
        Goal(f"catch-up: {what}", f"{name}.events_per_second", 120_000, 200_000, "events/s", is_most=False),
        Goal(f"peak memory in catch-up: {what}", f"{name}.peak_gb", 1.5, 1.0, "GB"),
    ]
    if load == "sales":  # each against Spark's best repetition
        found += [
            Goal(f"catch-up ÷ Spark's best: {what}", f"{name}.spark_warm_ratio.least", 2.5, 4, is_most=False),
            Goal(f"from a cold start ÷ Spark's best: {what}", f"{name}.spark_cold_ratio.least", 4, 8, is_most=False),
            Goal(f"peak memory ÷ Spark's least: {what}", f"{name}.spark_memory_share.most", 1 / 4, 1 / 6),
        ]
    return tuple(found)


def _freshness(log: str) -> tuple[Goal, ...]:
    return (
        Goal(f"event → published gold at 5,000/s, p99, {log} log", f"freshness.5000.{log}.event_lag_p99", 1, 0.5, "s"),
        Goal(f"the same at 500/s, p50, {log} log", f"freshness.500.{log}.event_lag_p50", 0.5, 0.25, "s"),
    )


_ROWS = ("rows", 50_000_000)
GOALS: tuple[Goal, ...] = (
    *_catch_up("sales", "embedded"),
    *_catch_up("sales", "kafka"),
    *_catch_up("mixed", "embedded"),
    *_catch_up("mixed", "kafka"),
    *_freshness("embedded"),
    *_freshness("kafka"),
    Goal("batch p50 with 50 M rows of history ÷ with 0.5 M", "history.batch_ratio", 1.2, 1.05, size=_ROWS),
    Goal("append after 10,000 commits ÷ after 10", "commits.append_ratio", 1.2, 1.05, size=("commits", 10_000)),
    Goal("process start → first batch committed", "start.first_batch_seconds", 3, 1.5, "s"),
    Goal("`animeverse demo`, installed", "demo.seconds", 30, 15, "s"),
    Goal("`animeverse rebuild gold` of the demo", "demo.rebuild_gold_seconds", 5, 2.5, "s"),
    Goal("idle CPU of `run all --follow`", "idle.percent_of_a_core", 3, 1, "%"),
    Goal("a day's sales by title in the published file, 50 M rows", "query.milliseconds", 100, 30, "ms", size=_ROWS),
)
