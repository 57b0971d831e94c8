"""What stands in the pages for readers: links, fenced blocks, names. Used by test_docs."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / "benchmarks").rglob("*.md"),
    ]
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*?)\s*$", re.MULTILINE)
_ANCHOR = re.compile(r"""<a id="([\w-]+)"></a>""")


def name(page: Path) -> str:
    """Where it is in the clone."""
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Targets inside the clone, as written."""
    return [target for target in _LINK.findall(prose(page)) if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get, as GitHub makes them, and those that it sets itself."""
    found: set[str] = set(_ANCHOR.findall(prose(page)))
    for heading in _HEADING.findall(prose(page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = 0
        while (one := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(one)
    return found


def shell_lines(page: Path) -> Iterator[str]:
    """Lines of the page's `sh` blocks, those that go on joined, comments taken off."""
    for kind, block in _FENCE.findall(page.read_text(encoding="utf-8")):
        if kind == "sh":
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip() and not line.lstrip().startswith("#"):
                    yield line.strip()


def commands(page: Path) -> Iterator[list[str]]:
    """The words behind `animeverse` of each command, in a `sh` block or in backticks."""
    for line in shell_lines(page):
        words = shlex.split(line, comments=True)
        starts = [at for at, word in enumerate(words) if word.rsplit("/", 1)[-1] == "animeverse"]
        for start in starts[:1]:
            rest = words[start + 1 :]
            end = next((at for at, word in enumerate(rest) if word in ("|", ";", "&&", "||", ">", "<", "&")), len(rest))
            if start == 0 or words[start - 1] == "pipeline" or "=" in words[start - 1]:  # else it is a name
                yield rest[:end]
    for quoted in re.findall(r"`animeverse ([a-z][^`]*)`", prose(page)):
        yield shlex.split(quoted)
