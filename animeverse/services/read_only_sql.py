"""Which SQL text may run on the lakehouse: one query, decided on DuckDB's own parse of the very text that is executed.

DuckDB gives the type of a statement, but two types say too little. EXPLAIN hides the type of what it explains, and
with ANALYZE runs it. Anything with a PIVOT in it is MULTI, a COPY to a file and a CREATE TABLE as well. So an EXPLAIN
is put together again from a statement that was judged by itself, and a MULTI runs inside `from (…)`, where only a
query can be.
"""

import duckdb

from pipelines.errors import UsageError


def query_text(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The text to execute for the one query in `sql`.

    Raises UsageError where it is no query; duckdb.Error where it is no SQL.
    """
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise UsageError(f"expected one SQL statement, found {len(statements)}")
    kind, text = statements[0].type, str(statements[0].query)
    if kind == duckdb.StatementType.SELECT:
        return text
    if kind == duckdb.StatementType.MULTI:
        return _as_subquery(connection, text)
    if kind == duckdb.StatementType.EXPLAIN:
        return _explained(connection, text)
    raise _refused(kind.name)


def _as_subquery(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    words = _words(text)
    end = words[-1][0] if words and words[-1][1] == ";" else len(text.encode())
    wrapped = f"from (\n{text.encode()[:end].decode()}\n)"
    try:
        found = connection.extract_statements(wrapped)
    except duckdb.Error:
        raise _refused("a statement with PIVOT that is no query") from None
    if len(found) != 1:
        raise _refused("several statements")
    return wrapped


def _explained(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    """`explain [analyze] QUERY`, from a QUERY that was judged by itself. Other options of EXPLAIN are dropped."""
    is_analyze = False
    for start, word in _words(text)[1:]:
        rest = text.encode()[start:].decode()
        try:
            found = connection.extract_statements(rest)
        except duckdb.Error:
            is_analyze = is_analyze or word == "analyze"
            continue  # still among the options
        if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
            raise _refused(f"EXPLAIN of {found[0].type.name}" if found else "EXPLAIN of nothing")
        return f"explain {'analyze ' if is_analyze else ''}{found[0].query}"
    raise _refused("EXPLAIN of what is no query")


def _words(text: str) -> list[tuple[int, str]]:
    """DuckDB's tokens without comments: (offset in UTF-8 bytes, text in lower case)."""
    tokens, data = duckdb.tokenize(text), text.encode()
    ends = [start for start, _ in tokens[1:]] + [len(data)]
    return [
        (start, data[start:end].split(b"--")[0].strip().decode(errors="replace").lower())
        for (start, kind), end in zip(tokens, ends, strict=True)
        if kind != duckdb.token_type.comment
    ]


def _refused(found: str) -> UsageError:
    return UsageError(
        f"expected a query, found {found}: the lakehouse is read-only here; to write a result use --format csv and a"
        " file of your own"
    )
