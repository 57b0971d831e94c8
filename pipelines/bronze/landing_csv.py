"""The rows of a CSV landing file as JSON text. Strictly RFC 4180: a malformed file is rejected, not repaired (R28)."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from pipelines.bronze.landing_csv_header import HeaderRow, read_header
from pipelines.bronze.landing_errors import UnreadableFileError
from pipelines.bronze.landing_limits import MAX_RECORD_BYTES
from pipelines.contracts.fields import WHITE_SPACE
from pipelines.contracts.registry import CONTRACTS
from pipelines.parsing.json_text import InvalidJsonError, compact, read

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_QUOTED = re.compile(r'"[^"]*+(?:""[^"]*+)*+"')
_LINE_END = re.compile(r"\r\n|\r|\n")


def csv_values(topic: str, file: IO[bytes], skip_lines: int) -> Iterator[tuple[int, bytes]]:
    """(number of the row's last line from 1, value), without rows that end within the first `skip_lines` lines.

    Raises UnreadableFileError, which names the line.
    """
    encoding = _encoding(file)
    is_utf8 = encoding == "utf-8-sig"
    # What is not UTF-8 in a row is that row's fault: silver quarantines it. UTF-16 has no such rows.
    errors = "surrogateescape" if is_utf8 else "strict"
    with io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="") as text:
        lines = _Lines(text)
        header = read_header(topic, lines.next_row_text)
        kinds = {field.name: field.kind for field in CONTRACTS[topic].fields}
        for cells in _rows(lines, header):
            if lines.number <= skip_lines and is_utf8:
                continue
            value = _value(header.names, cells, kinds, lines)
            if len(value) > MAX_RECORD_BYTES:
                raise UnreadableFileError(f"line {lines.first}: expected at most {MAX_RECORD_BYTES:,} bytes in a row")
            yield lines.number, value


def _encoding(file: IO[bytes]) -> str:
    # peek: of io.BufferedReader, which `landing_records` gives
    start = file.peek(4)[:4] if isinstance(file, io.BufferedReader) else b""
    if start in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        raise UnreadableFileError("expected UTF-8 or UTF-16, found the byte order mark of UTF-32")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


class _Lines:
    """Lines of text of bounded length; keeps those of the row at hand, for `csv.reader` and for messages."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._parts: list[str] = []
        self._size = 0
        self.number = 0  # of the last line read
        self.first = 1  # of the first line of the row

    def begin_row(self) -> None:
        """The lines from here on belong to the next row."""
        self._parts, self._size, self.first = [], 0, self.number + 1

    @property
    def row(self) -> str:
        """The text of the row so far."""
        return "".join(self._parts)

    def next_row_text(self) -> str:
        """The text of one line as a row; empty at the end of the file."""
        self.begin_row()
        return next(self, "")

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_RECORD_BYTES + 3)
        if not line:
            raise StopIteration
        self.number += 1
        self._parts.append(line)
        self._size += len(line)
        if self._size > MAX_RECORD_BYTES + 2:  # the end of the line is no part of the row
            fault = f"expected at most {MAX_RECORD_BYTES:,} bytes in a row, found more"
            raise UnreadableFileError(f"line {self.first}: {fault}{self._open_quote()}")
        return line

    def _open_quote(self) -> str:
        for separator in ",;\t":
            found = _quote_fault(self.row, separator)
            if found and found[1] == _UNCLOSED:
                return f"; {_UNCLOSED} at line {self._line_of(found[0])}"
        return ""

    def check_quotes(self, separator: str) -> None:
        """Raise UnreadableFileError where the row's quotes are not those of RFC 4180, which `csv` tolerates in part."""
        row = self.row
        if '"' in row and (found := _quote_fault(row, separator)):
            at, fault = found
            raise UnreadableFileError(f"line {self._line_of(at)}: {fault}")

    def _line_of(self, position: int) -> int:
        return self.first + len(_LINE_END.findall(self.row, 0, position))


_UNCLOSED = "a quote is opened and never closed"


def _quote_fault(row: str, separator: str) -> tuple[int, str] | None:
    """Position and description of the first misplaced quote of a row."""
    plain = _PLAIN[separator]
    at = 0
    while True:
        if row.startswith('"', at):
            closed = _QUOTED.match(row, at)
            if closed is None:
                return at, _UNCLOSED
            at = closed.end()
            if at < len(row) and row[at] not in (separator, "\r", "\n"):
                return at, f"text after a closing quote: {_excerpt(row, closed.start())}"
        else:
            start, at = at, plain.match(row, at).end()  # type: ignore[union-attr]  # matches the empty text, too
            if row.startswith('"', at):
                return at, f"a quote inside a cell without quotes: {_excerpt(row, start)}"
        if at >= len(row) or row[at] != separator:
            return None
        at += 1


_PLAIN: Mapping[str, re.Pattern[str]] = {
    separator: re.compile(f'[^"{separator}\r\n]*+') for separator in (",", ";", "\t")
}


def _excerpt(row: str, start: int) -> str:
    return row[start : start + 40].rstrip("\r\n")


def _rows(lines: _Lines, header: HeaderRow) -> Iterator[list[str]]:
    """The rows with content, each of the header's width."""
    csv.field_size_limit(MAX_RECORD_BYTES + 2)
    rows = csv.reader(lines, delimiter=header.separator, strict=True)
    while True:
        lines.begin_row()
        try:
            cells = next(rows, None)
        except csv.Error as error:
            lines.check_quotes(header.separator)
            raise UnreadableFileError(f"line {lines.first}: {error}") from error
        if cells is None:
            return
        lines.check_quotes(header.separator)
        if not any(cell.strip(WHITE_SPACE) for cell in cells):
            continue
        if len(cells) != len(header.names):
            raise UnreadableFileError(
                f"line {lines.first}: expected {len(header.names)} cells, as in the header, found {len(cells)}"
            )
        yield cells


def _value(names: Sequence[str], cells: Sequence[str], kinds: Mapping[str, str], lines: _Lines) -> bytes:
    members = zip(names, cells, strict=True)
    text = "{" + ",".join(f"{compact(n)}:{_cell(kinds.get(n, 'text'), cell)}" for n, cell in members if cell) + "}"
    try:
        return text.encode()
    except UnicodeEncodeError:
        return lines.row.rstrip("\r\n").encode(errors="surrogateescape")  # as it came: positions are those of the row


def _cell(kind: str, cell: str) -> str:
    """A cell as JSON text: a number, list or boolean where the contract wants one and it is one, else a string."""
    if kind in ("integer", "money") and _NUMBER.fullmatch(cell):
        return cell
    if kind == "boolean" and cell in ("true", "false"):
        return cell
    if kind in ("texts", "lines"):
        try:
            return compact(read(cell.encode()))
        except (InvalidJsonError, UnicodeEncodeError):
            return compact(cell)
    return compact(cell)
