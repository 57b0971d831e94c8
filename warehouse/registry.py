"""The registry of models. A model is one SQL file whose header describes it; to add a model, add a file.

A header is the comment at the top of the file:

    -- gold.fct_sales: one row per line of a sale or return
    -- grain        event_id, line_number
    -- reads        staging.fct_sales, gold.dim_customer
    -- materialize  fact
    -- topic        pos-transactions
    -- column       event_id: the event

A line with three or more blanks after `--` continues the line above. `reads` gives the order of the models. A test
compares it with the tables that sqlglot finds in the statement (`tables_read`), so a run does not have to parse SQL.
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
_CONTINUED = re.compile(r"-- {3,}(\S.*)")
# Schemas of one refresh's temporary tables: `staging.fct_sales` is the table temp.staging_fct_sales.
_TEMPORARY = "silver|seeds|staging|replaced|changed|affected|moved|totals"
_NAME = re.compile(rf"\b(?:gold|marts|ops|work|previous|{_TEMPORARY})\.[a-z_0-9]+")
_SCOPED = re.compile(rf"(?<!distinct )\b(from|join)\s+({_TEMPORARY})\.([a-z_0-9]+)(\s+as\b)?")
# `previous.fct_x` is gold.fct_x before the refresh: a model may read the table that it replaces.
_PREVIOUS = re.compile(r"\b(from|join)\s+previous\.([a-z_0-9]+)")
_FACTS = re.compile(r"\b(from|join)\s+gold\.(fct_[a-z_0-9]+)")
_SPLIT = re.compile(r"\b(from|join)\s+(?:gold|marts)\.(fct_[a-z_0-9]+|product_daily)")

# Columns that have one meaning in every table.
SHARED_COLUMNS: Mapping[str, str] = {
    "_arrival": "`on_time` or `late`, the verdict of silver",
    "_recorded_at": "when the record arrived in the log",
    "valid_from": "UTC, inclusive; 0001-01-01 for an inferred member",
    "valid_to": "UTC, exclusive; null while the version is open",
    "effective_to": "UTC, exclusive; the next version's valid_from: facts join by valid_from <= t < effective_to",
    "is_current": "whether the version is open",
    "is_deleted": "whether a delete closed the version",
    "is_inferred": "whether facts needed the member before its first version was valid",
    "version": "1, 2, ... by valid_from; 0 for an inferred member",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A fact's reference to a dimension with history: `key` is the key of `id_column`'s version valid at `at`."""

    key: str
    dimension: str
    id_column: str
    at: str  # a column of the fact, or an SQL expression over its columns


@dataclass(frozen=True, slots=True)
class Model:
    """One SQL file. `header` holds the text of each directive except `column` and `member`, which have own fields."""

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
        """Full names of the tables that it reads, in the order of the header."""
        return tuple(dict.fromkeys(_NAME.findall(self.header.get("reads", ""))))

    @property
    def silver_tables(self) -> tuple[str, ...]:
        """Names, without the schema, of the silver tables that it reads, in the order of the header."""
        return tuple(name.removeprefix("silver.") for name in self.reads if name.startswith("silver."))

    @property
    def checks(self) -> Path:
        """The file of its hand-written checks, which may not exist."""
        return self.path.with_suffix(".checks.sql")

    def describe(self, column: str) -> str | None:
        """The meaning of a column; None if it has no description."""
        return self.columns.get(column) or SHARED_COLUMNS.get(column)


def names(text: str) -> tuple[str, ...]:
    """The names in a comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _member(text: str) -> Member:
    found = re.fullmatch(r"(\w+): (\w+) by (\w+) at (.+)", text)
    if found is None:
        raise ValueError(f"expected `member  KEY: DIMENSION by ID at TIME`, found {text!r}")
    return Member(*found.groups())


def read_model(path: Path) -> Model:
    """The model in a file. Raises ValueError if the header does not follow the form."""
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
        elif (continued := _CONTINUED.fullmatch(line)) and entries:
            entries[-1][1] += " " + continued[1]
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
    """Sorts models so that each comes after those it reads, otherwise by name. Raises ValueError on a cycle."""
    left = {model.full_name: model for model in sorted(models, key=lambda model: model.full_name)}
    done: list[Model] = []
    while left:
        # `work.<name>` holds the open days of a model whose days can be closed
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
    """The position of the model's kind. For example, a history needs the new rows of all facts to find new members."""
    kind = "days" if "scope" in model.header else model.kind
    return PHASES.index(kind) if kind in PHASES else len(PHASES)


def of_kind(*kinds: str) -> tuple[Model, ...]:
    """The models of these kinds, in order."""
    return tuple(model for model in registry() if model.kind in kinds)


def fact_of(topic: str) -> Model | None:
    """The fact that holds the events of a topic; None for master data."""
    return next((model for model in of_kind("fact") if model.header["topic"] == topic), None)


def dimension_of(topic: str) -> Model | None:
    """The dimension that holds the versions of a topic's master data; None for a business topic."""
    return next((model for model in of_kind("history") if model.header.get("topic") == topic), None)


def staging_of(fact: Model) -> Model:
    """The model of a fact's new rows. The first silver table that it reads has one row per row of the fact."""
    return next(model for model in of_kind("staging") if model.name == fact.name)


def scoped(sql: str, *, open_days_only: bool = False) -> str:
    """SQL as the engine runs it: the temporary schemas become temporary tables.

    With `open_days_only`, tables whose days can be closed are read without their closed days, which saves opening files
    and is right if the statement asks for open days only.
    """
    sql = _SCOPED.sub(lambda m: f"{m[1]} temp.{m[2]}_{m[3]}{m[4] or f' as {m[3]}'}", sql)
    sql = _PREVIOUS.sub(r"\1 gold.\2", sql)
    return _SPLIT.sub(r"\1 work.\2", sql) if open_days_only else sql


def of_changes(sql: str) -> str:
    """The same SQL over the rows of facts that the refresh wrote, in place of all facts."""
    return scoped(_FACTS.sub(r"\1 changed.\2", sql))


def tables_read(sql: str) -> frozenset[str]:
    """Full names of the tables and views that a statement reads, found with sqlglot."""
    from sqlglot import exp, parse_one

    tree = parse_one(sql, dialect="duckdb")
    return frozenset(f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db and table.name)
