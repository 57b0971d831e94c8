"""Where services send messages and progress. Commands and flows hand in an implementation."""

from typing import Protocol


class Reporter(Protocol):
    """Receives messages and progress, possibly from several threads."""

    def say(self, message: str) -> None:
        """Receive a message for a person."""

    def update(self, name: str, done: int, total: int | None = None) -> None:
        """Receive how much of `name` is done; `total` is None while it is unknown."""


class _Silent:
    def say(self, message: str) -> None:
        pass

    def update(self, name: str, done: int, total: int | None = None) -> None:
        pass


SILENT: Reporter = _Silent()
