"""When `animeverse serve` takes its server and worker for stuck."""

from animeverse.serve.watchdog import Watchdog
from pipelines.errors import RetryableError


class World:
    """What the server says, at a time that the test sets."""

    def __init__(self, *, minds_silence: bool = True) -> None:
        self.now, self.due, self.is_silent, self.asked = 0.0, list[str](), False, 0
        self.watch = Watchdog(self.ask, lambda: self.now, minds_silence=minds_silence)

    def ask(self) -> list[str]:
        self.asked += 1
        if self.is_silent:
            raise RetryableError("no answer")
        return self.due

    def pass_time(self, seconds: int) -> list[tuple[float, str]]:
        """When it said what."""
        told = []
        for _ in range(5 * seconds):
            self.now += 0.2
            if said := self.watch.problem():
                told.append((round(self.now), said))
        return told


def test_runs_that_come_and_go_are_fine_however_many() -> None:
    world = World()
    for n in range(30):
        world.due = [f"run {n}"]
        assert world.pass_time(50) == []
    assert 130 <= world.asked <= 150  # every ten seconds


def test_a_run_that_is_due_for_a_minute_is_told_once_and_then_later_and_later() -> None:
    world = World()
    world.due = ["run"]
    told = world.pass_time(600)
    assert [of for _, of in told] == [f"a run is due and not started for {n} s" for n in (60, 120, 240)]
    assert [round(at, -1) for at, _ in told] == [
        70,
        200,
        460,
    ]  # with a look each ten seconds


def test_after_a_time_without_any_its_patience_is_the_first_again() -> None:
    world = World()
    world.due = ["run"]
    assert len(world.pass_time(300)) == 2
    world.due = []
    assert world.pass_time(20) == []
    world.due = ["another"]
    assert [of for _, of in world.pass_time(75)] == ["a run is due and not started for 60 s"]


def test_a_server_that_does_not_answer_for_a_minute_is_told() -> None:
    world = World()
    world.is_silent = True
    assert world.pass_time(45) == []
    world.is_silent = False
    assert world.pass_time(15) == []
    world.is_silent = True
    assert [of for _, of in world.pass_time(80)] == ["no answer for 60 s"]


def test_a_run_stays_due_while_the_server_says_nothing() -> None:
    world = World()
    world.due = ["run"]
    assert world.pass_time(45) == []
    world.is_silent = True
    assert [of for _, of in world.pass_time(30)] == ["a run is due and not started for 60 s"]


def test_a_hundred_runs_of_which_some_leave_at_each_look_are_progress() -> None:
    world = World()
    left = [f"run {n}" for n in range(100)]
    world.due = left.copy()
    assert [of for _, of in world.pass_time(75)] == ["a run is due and not started for 60 s"]
    while left:
        del left[:5]
        world.due = left.copy()
        assert world.pass_time(50) == []
    world.due = ["another"]
    assert [of for _, of in world.pass_time(75)] == ["a run is due and not started for 60 s"]  # patient as at first


def test_somebody_elses_server_may_be_silent() -> None:
    world = World(minds_silence=False)
    world.is_silent = True
    assert world.pass_time(600) == []
    world.is_silent = False
    world.due = ["run"]
    assert [of for _, of in world.pass_time(75)] == ["a run is due and not started for 60 s"]
