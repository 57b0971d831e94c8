"""Prints the lines of requirements.lock, with hashes, that an image needs.

    python deploy/locked.py                    the dependencies of pyproject.toml
    python deploy/locked.py --extra notebooks  also those of an extra
    python deploy/locked.py --only setuptools  one package and its dependencies

The lock contains all packages, development tools included, and names the dependents of each (`# via`). Only packages
that are reachable from the roots are printed. The script uses the standard library alone: it runs before any install.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def normal(name: str) -> str:
    """Return the name of a requirement in PEP 503 form, without extras, versions and markers."""
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", name.strip())
    if found is None:
        raise ValueError(f"not a requirement: {name!r}")
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def blocks(lock: str) -> dict[str, tuple[str, set[str]]]:
    """Return package -> its lines (of all versions, such as one per Python version) and its dependents."""
    found: dict[str, tuple[str, set[str]]] = {}
    for block in re.split(r"(?m)^(?=[A-Za-z0-9])", lock):
        if not re.match(r"[A-Za-z0-9]", block):
            continue
        _, _, via = block.partition("# via")
        parents = {normal(line.strip("# ")) for line in via.splitlines() if line.strip("# ")}
        lines, known = found.get(normal(block), ("", set()))
        found[normal(block)] = (lines + block, known | parents)
    return found


def reached(packages: dict[str, tuple[str, set[str]]], roots: set[str]) -> set[str]:
    """Return the roots and their transitive dependencies. Raises KeyError with a root that the lock lacks."""
    for root in roots - packages.keys():
        raise KeyError(root)
    kept, grew = set(roots), True
    while grew:
        more = {name for name, (_, parents) in packages.items() if name not in kept and parents & kept}
        kept |= more
        grew = bool(more)
    return kept


def main() -> int:
    """Print the lines; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", action="append", default=[])
    parser.add_argument("--only", action="append", default=[])
    chosen = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = blocks((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    try:
        wanted = chosen.only or [
            *project["dependencies"],
            *(line for extra in chosen.extra for line in project["optional-dependencies"][extra]),
        ]
        kept = reached(packages, {normal(line) for line in wanted})
    except KeyError as error:
        print(f"locked: {error} is not in pyproject.toml and requirements.lock", file=sys.stderr)  # noqa: T201
        return 1
    print("".join(packages[name][0] for name in sorted(kept)), end="")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
