"""Is the container doing its work? `health.py http URL`, `tcp HOST:PORT`, `writer`: exit 0 yes, 1 no."""

import os
import socket
import sys
import urllib.request
from pathlib import Path

SECONDS = 5


def answers(url: str) -> bool:
    """An HTTP server says 200 there."""
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - the compose file's own address
        return bool(answer.status == 200)


def listens(address: str) -> bool:
    """Something accepts connections there."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=SECONDS):
        return True


def writes(home: Path, locks: Path = Path("/proc/locks")) -> bool:
    """A living process of this container holds the lock of the home's writer. Looks without taking it."""
    inode = (home / "run.lock").stat().st_ino
    held = (line.split() for line in locks.read_text().splitlines())
    return any(line[1] == "FLOCK" and line[5].endswith(f":{inode}") for line in held if len(line) > 5)


def main(arguments: list[str]) -> int:
    """The exit code."""
    try:
        match arguments:
            case ["http", url]:
                return 0 if answers(url) else 1
            case ["tcp", address]:
                return 0 if listens(address) else 1
            case ["writer"]:
                return 0 if writes(Path(os.environ["ANIMEVERSE_HOME"])) else 1
    except OSError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(__doc__, file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
