"""When the watchdog reports a problem."""

from animeverse.serve.watchdog import Watchdog
from pipelines.errors import RetryableError


class Server:
    """A server and a clock that the test controls."""

    def __init__(self, *, minds_silence: bool = True) -> None:
        self.now, self.due, self.is_silent, self.polls = 0.0, list[str](), False, 0
        self.watchdog = Watchdog(self.poll, lambda: self.now, minds_silence=minds_silence)

    def poll(self) -> list[str]:
        self.polls += 1
        if self.is_silent:
            raise RetryableError("no answer")
        return self.due

    def pass_time(self, seconds: int) -> list[tuple[float, str]]:
        """Return the problems, each with its time."""
        problems = []
        for _ in range(5 * seconds):
            self.now += 0.2
            if problem := self.watchdog.problem():
                problems.append((round(self.now), problem))
        return problems


def test_runs_that_are_started_in_time_are_no_problem() -> None:
    server = Server()
    for n in range(30):
        server.due = [f"run {n}"]
        assert server.pass_time(50) == []
    assert 130 <= server.polls <= 150  # every ten seconds


def test_an_overdue_run_is_reported_with_a_doubled_timeout_each_time() -> None:
    server = Server()
    server.due = ["run"]
    problems = server.pass_time(600)
    assert [problem for _, problem in problems] == [f"a run is due and not started for {n} s" for n in (60, 120, 240)]
    assert [round(at, -1) for at, _ in problems] == [
        70,
        200,
        460,
    ]  # with a poll every ten seconds


def test_the_timeout_is_reset_once_no_run_is_due() -> None:
    server = Server()
    server.due = ["run"]
    assert len(server.pass_time(300)) == 2
    server.due = []
    assert server.pass_time(20) == []
    server.due = ["another"]
    assert [problem for _, problem in server.pass_time(75)] == ["a run is due and not started for 60 s"]


def test_a_server_without_a_response_for_a_minute_is_reported() -> None:
    server = Server()
    server.is_silent = True
    assert server.pass_time(45) == []
    server.is_silent = False
    assert server.pass_time(15) == []
    server.is_silent = True
    assert [problem for _, problem in server.pass_time(80)] == ["no answer for 60 s"]


def test_a_run_stays_due_while_the_server_is_silent() -> None:
    server = Server()
    server.due = ["run"]
    assert server.pass_time(45) == []
    server.is_silent = True
    assert [problem for _, problem in server.pass_time(30)] == ["a run is due and not started for 60 s"]


def test_a_backlog_that_shrinks_is_progress() -> None:
    server = Server()
    backlog = [f"run {n}" for n in range(100)]
    server.due = backlog.copy()
    assert [problem for _, problem in server.pass_time(75)] == ["a run is due and not started for 60 s"]
    while backlog:
        del backlog[:5]
        server.due = backlog.copy()
        assert server.pass_time(50) == []
    server.due = ["another"]
    assert [problem for _, problem in server.pass_time(75)] == ["a run is due and not started for 60 s"]


def test_silence_is_no_problem_without_minds_silence() -> None:
    server = Server(minds_silence=False)
    server.is_silent = True
    assert server.pass_time(600) == []
    server.is_silent = False
    server.due = ["run"]
    assert [problem for _, problem in server.pass_time(75)] == ["a run is due and not started for 60 s"]
