"""Prints those lines of requirements.lock, hashes and all, that an image needs.

    python deploy/locked.py                    what pyproject.toml's dependencies need
    python deploy/locked.py --extra notebooks  those of an extra, too
    python deploy/locked.py --only setuptools  one package and what it needs

The lock holds everything, developers' tools as well, and says beside each package who needs it (`# via`); what can be
reached from the roots is kept. Standard library only: it runs before anything is installed.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def normal(name: str) -> str:
    """A requirement's name as PEP 503 writes it, without extras, versions and markers."""
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", name.strip())
    if found is None:
        raise ValueError(f"not a requirement: {name!r}")
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def blocks(lock: str) -> dict[str, tuple[str, set[str]]]:
    """Package -> its lines (of all versions: one for each Python, say) and who needs it."""
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
    """The roots and all that they need, at any distance. Raises KeyError naming a root that the lock does not have."""
    for root in roots - packages.keys():
        raise KeyError(root)
    kept, grew = set(roots), True
    while grew:
        more = {name for name, (_, parents) in packages.items() if name not in kept and parents & kept}
        kept |= more
        grew = bool(more)
    return kept


def main() -> int:
    """Print them; the exit code."""
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
