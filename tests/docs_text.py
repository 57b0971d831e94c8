"""Read the documentation and the sources: links, commands, comments and the files they name. Used by test_docs."""

import ast
import io
import re
import shlex
import tokenize
from collections.abc import Iterator
from functools import cache
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
PACKAGES = ("animeverse", "benchmarks", "deploy", "examples", "flows", "notebooks", "pipelines", "producers", "tests",
            "warehouse")  # fmt: skip
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.suffix in (".py", ".sql"))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*?)\s*$", re.MULTILINE)
_ANCHOR = re.compile(r"""<a id="([\w-]+)"></a>""")


def name(page: Path) -> str:
    """Return the path within the repository."""
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """Return the page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Return the link targets within the repository, as written."""
    return [target for target in _LINK.findall(prose(page)) if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page: those GitHub derives from headings, and explicit ones."""
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
    """Yield the lines of the page's `sh` blocks. Continued lines are joined and comment lines are left out."""
    for kind, block in _FENCE.findall(page.read_text(encoding="utf-8")):
        if kind == "sh":
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip() and not line.lstrip().startswith("#"):
                    yield line.strip()


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of each `animeverse` command in a `sh` block or in backticks."""
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


def explanations(path: Path) -> str:
    """Return the text for people: of a page all of it, of a source its docstrings and comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    if path.suffix == ".sql":
        return "\n".join(line.partition("--")[2] for line in text.splitlines() if "--" in line)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, documented)]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return "\n".join([*docstrings, *(token.string for token in tokens if token.type == tokenize.COMMENT)])


@cache
def tracked_files() -> tuple[str, ...]:
    """Return the paths of the repository's files, without those that git ignores."""
    ignored = {".git", ".venv", "__pycache__", "data", "dist", "build", "certs"}
    return tuple(
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*")
        if path.is_file() and not ignored.intersection(path.relative_to(ROOT).parts)
    )


def exists(reference: str, citing: Path) -> bool:
    """Return whether a file or folder with this path exists, from the root, from `citing` or inside any folder."""
    reference = reference.removeprefix("./").rstrip("/")
    if (ROOT / reference).exists() or (citing.parent / reference).exists():
        return True
    return any(f"/{reference}/" in f"/{path}/" for path in tracked_files())


_FILE = re.compile(r"(?<![\w/.<>*{}-])((?:[\w.-]+/)*[\w-]+\.(?:py|sql|md|ipynb|toml))\b(?!\()")
_FOLDER = re.compile(r"`((?:[\w.-]+/)+)`")
_MODULE = re.compile(rf"(?<![\w./-])((?:{'|'.join(PACKAGES)})(?:\.\w+)+)(?![\w(/*-])")


def named_files(path: Path) -> list[str]:
    """Return the files that a page, docstring or comment names, such as `silver/topic.py`."""
    return _FILE.findall(explanations(path))


def named_folders(path: Path) -> list[str]:
    """Return the folders that a page, docstring or comment names, such as `pipelines/silver/`."""
    return _FOLDER.findall(explanations(path))


def named_modules(path: Path) -> list[str]:
    """Return the dotted modules that a page, docstring or comment names, such as `pipelines.silver.topic`."""
    return [found for found in _MODULE.findall(explanations(path)) if not found.endswith((".py", ".sql", ".md"))]


def module_exists(dotted: str) -> bool:
    """Return whether it is a module or a name that a module contains."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:count])
        module = base.with_suffix(".py") if base.with_suffix(".py").exists() else base / "__init__.py"
        if module.exists() or base.is_dir():
            source = module.read_text(encoding="utf-8") if module.exists() else ""
            return all(re.search(rf"\b{name}\b", source) for name in parts[count:])
    return False
