"""Health check of a container. `health.py http URL`, `tcp HOST:PORT`, `writer`: exit 0 healthy, 1 not."""

import os
import socket
import sys
import urllib.request
from pathlib import Path

SECONDS = 5


def answers(url: str) -> bool:
    """Whether an HTTP server answers the URL with status 200."""
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - the compose file's own address
        return bool(answer.status == 200)


def listens(address: str) -> bool:
    """Whether the address accepts connections. Raises OSError if not."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=SECONDS):
        return True


def writes(home: Path, locks: Path = Path("/proc/locks")) -> bool:
    """Whether a live process of this container holds the write lock of the home. Does not take the lock."""
    inode = (home / "run.lock").stat().st_ino
    held = (line.split() for line in locks.read_text().splitlines())
    return any(line[1] == "FLOCK" and line[5].endswith(f":{inode}") for line in held if len(line) > 5)


def main(arguments: list[str]) -> int:
    """Return the exit code."""
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
