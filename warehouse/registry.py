"""The registry: every model is one SQL file whose header says what it is; adding a model is adding a file.

A header is the comment at the top of the file:

    -- gold.fct_sales: one row a line of a sale or a return
    -- grain        event_id, line_number
    -- reads        staging.fct_sales, gold.dim_customer
    -- materialize  fact
    -- column       event_id: the event

A line that goes on with three or more blanks belongs to the one above. `reads` orders the models; `tables_read` reads
the same from the SQL itself with sqlglot, and a test holds the two equal, so that no run pays for parsing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
FOLDERS = ("staging", "affected_keys", "ops", "gold", "marts")
PHASES = ("staging", "state", "members", "history", "fact")

_DIRECTIVE = re.compile(r"-- ([a-z_]+) {2,}(\S.*)")
_TITLE = re.compile(r"-- ([a-z_]+)\.([a-z_0-9]+): (.*)")
_MORE = re.compile(r"-- {3,}(\S.*)")
# Schemas of one refresh's temporary tables: `staging.fct_sales` is the table temp.staging_fct_sales.
_TEMPORARY = "silver|seeds|staging|replaced|changed|affected|moved|totals"
_NAME = re.compile(rf"\b(?:gold|marts|ops|work|previous|{_TEMPORARY})\.[a-z_0-9]+")
_SCOPED = re.compile(rf"(?<!distinct )\b(from|join)\s+({_TEMPORARY})\.([a-z_0-9]+)(\s+as\b)?")
# `previous.fct_x` is gold.fct_x as the refresh found it: a model may read the table that it replaces.
_PREVIOUS = re.compile(r"\b(from|join)\s+previous\.([a-z_0-9]+)")
_FACTS = re.compile(r"\b(from|join)\s+gold\.(fct_[a-z_0-9]+)")
_SPLIT = re.compile(r"\b(from|join)\s+(?:gold|marts)\.(fct_[a-z_0-9]+|product_daily)")

# Columns that mean the same wherever they stand.
SHARED_COLUMNS: Mapping[str, str] = {
    "_arrival": "`on_time` or `late`, as silver judged it",
    "_recorded_at": "when the record arrived in the log",
    "valid_from": "UTC, inclusive; 0001-01-01 for an inferred member",
    "valid_to": "UTC, exclusive; null while the version is open",
    "effective_to": "UTC, exclusive; the next version's valid_from: facts join by valid_from <= t < effective_to",
    "is_current": "the version is open",
    "is_deleted": "a delete closed the version",
    "is_inferred": "facts needed the member before its first version was valid",
    "version": "1, 2, ... by valid_from; 0 for an inferred member",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A fact's reference to a dimension with history: `key` is that of `id_column`'s version valid at `at`."""

    key: str
    dimension: str
    id_column: str
    at: str  # a column of the fact, or an SQL expression over its columns


@dataclass(frozen=True, slots=True)
class Model:
    """One SQL file. `header` holds each directive's text but `column` and `member`, which have fields of their own."""

    schema: str
    name: str
    title: str
    sql: str  # the statement, without header and final semicolon
    header: Mapping[str, str]
    columns: Mapping[str, str]  # name -> meaning
    members: Sequence[Member]
    path: Path

    @property
    def full_name(self) -> str:
        """`gold.fct_sales`."""
        return f"{self.schema}.{self.name}"

    @property
    def kind(self) -> str:
        """How it is kept: staging, scope, state, history, members, fact, days, view, table or macro (`refresh.py`)."""
        return self.header["materialize"].split()[0]

    @property
    def reads(self) -> tuple[str, ...]:
        """Full names of what it reads, as the header lists them."""
        return tuple(dict.fromkeys(_NAME.findall(self.header.get("reads", ""))))

    @property
    def checks(self) -> Path:
        """Where its checks are."""
        return self.path.with_suffix(".checks.sql")

    def describe(self, column: str) -> str | None:
        """What a column means; None when nobody said."""
        return self.columns.get(column) or SHARED_COLUMNS.get(column)


def names(text: str) -> tuple[str, ...]:
    """A header's comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _member(text: str) -> Member:
    found = re.fullmatch(r"(\w+): (\w+) by (\w+) at (.+)", text)
    if found is None:
        raise ValueError(f"expected `member  KEY: DIMENSION by ID at TIME`, found {text!r}")
    return Member(*found.groups())


def read_model(path: Path) -> Model:
    """The model in a file. Raises ValueError where the header does not follow the form."""
    title = ""
    schema = name = ""
    entries: list[list[str]] = []
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    for line in lines[:end]:
        if not schema and (head := _TITLE.fullmatch(line)):
            schema, name, title = head.groups()
        elif directive := _DIRECTIVE.fullmatch(line):
            entries.append([directive[1], directive[2]])
        elif (more := _MORE.fullmatch(line)) and entries:
            entries[-1][1] += " " + more[1]
        else:
            title += " " + line.removeprefix("--").strip()
    header = {key: text for key, text in entries if key not in ("column", "member")}
    if not schema or "materialize" not in header:
        raise ValueError(f"{path}: expected a header with `-- schema.name: title` and `-- materialize  KIND`")
    columns = dict(text.split(": ", 1) for key, text in entries if key == "column")
    members = [_member(text) for key, text in entries if key == "member"]
    sql = "\n".join(lines[end:]).strip().removesuffix(";")
    return Model(schema, name, title.strip(), sql, header, columns, members, path)


def ordered(models: Iterable[Model]) -> tuple[Model, ...]:
    """Models so that each comes after those it reads; otherwise by name. Raises ValueError on a circle."""
    left = {model.full_name: model for model in sorted(models, key=lambda model: model.full_name)}
    done: list[Model] = []
    while left:
        # of a model that is split, `work.<name>` is the native part
        waited_for = {*left, *(f"work.{model.name}" for model in left.values())}
        ready = [
            model
            for model in left.values()
            if not waited_for.intersection(model.reads) - {model.full_name, f"work.{model.name}"}
        ]
        if not ready:
            raise ValueError(f"models read each other in a circle: {', '.join(left)}")
        done.extend(left.pop(model.full_name) for model in ready)
    return tuple(done)


@cache
def registry() -> tuple[Model, ...]:
    """All models, each after those it reads."""
    files = [path for folder in FOLDERS for path in (HERE / folder).glob("*.sql")]
    found = ordered(read_model(path) for path in files if not path.name.endswith(".checks.sql"))
    return tuple(sorted(found, key=_phase))


def _phase(model: Model) -> int:
    """What all models of a kind wait for, whatever they read: histories need every fact's lines, to see who is new."""
    kind = "days" if "scope" in model.header else model.kind
    return PHASES.index(kind) if kind in PHASES else len(PHASES)


def of_kind(*kinds: str) -> tuple[Model, ...]:
    """The models kept in one of these ways, in order."""
    return tuple(model for model in registry() if model.kind in kinds)


def scoped(sql: str, *, native: bool = False) -> str:
    """SQL as the engine runs it: one refresh's names become temporary tables; with `native`, what is split by days is
    read from native days alone, which is enough where no closed day is asked for."""
    sql = _SCOPED.sub(lambda m: f"{m[1]} temp.{m[2]}_{m[3]}{m[4] or f' as {m[3]}'}", sql)
    sql = _PREVIOUS.sub(r"\1 gold.\2", sql)
    return _SPLIT.sub(r"\1 work.\2", sql) if native else sql


def of_changes(sql: str) -> str:
    """The same over the facts that one refresh wrote alone."""
    return scoped(_FACTS.sub(r"\1 changed.\2", sql))


def tables_read(sql: str) -> frozenset[str]:
    """Full names of the tables and views that a statement reads, as sqlglot sees them."""
    from sqlglot import exp, parse_one

    tree = parse_one(sql, dialect="duckdb")
    return frozenset(f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db and table.name)
