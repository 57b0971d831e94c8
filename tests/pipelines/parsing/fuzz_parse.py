"""Fuzzes both parsing paths: `python -m tests.pipelines.parsing.fuzz_parse 100000 [seed]`. Exits with 1 on a failure.

Records are events as producers write them, in a few layouts; some are then damaged by token or byte. Laws: each record
is in exactly one frame, in order; both paths give the same rows; the fast path never fails.
"""

import json
import logging
import random
import re
import sys
import time
from typing import Any

import polars as pl
import pyarrow as pa

from pipelines.contracts.fields import Field
from pipelines.contracts.registry import CONTRACTS, TOPICS, Contract
from pipelines.parsing.layouts import Layouts
from pipelines.parsing.parse import Parsed, ParseRules, parse, parse_exactly

BATCH = 2000
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null|[{}\[\],:]', re.DOTALL)
_DAY = re.compile(r'"[0-9]{4}-[0-9]{2}-[0-9]{2}')
_NUMBERS = """0 -0 00 1 -1 01 3.0 3e0 3.5 -3 5 6 0.0 -0.0 1E2 1e-1 1e400 1e-400 1. .5 +1 -1.5 12.50 0.0001 0.00001
    1.23455 1.23454 999999999999999999 1000000000000000000 9223372036854775807 9223372036854775808 -9223372036854775808
    9999999999999.9999 99999999999999.9999 99999999999999.99995 100000000000000 1e999999999999999999999 0e99999999999
    1234567890.125 0.1 123456789.5 -12.5 1e3 NaN Infinity""".split()  # noqa: SIM905
_TIMES = """2026-02-30T10:00:00Z 2026-02-28T24:00:00Z 2026-02-28T10:00:60Z 2026-02-28t10:00:00z 2026-02-28
    2026-02-28T10:00:00 2026-02-28T10:00:00.1234567Z 2026-02-28T10:00:00.123456+05:30 1999-12-31T23:59:59.999999Z
    2000-01-01T00:00:00Z 2000-01-01T00:00:00+00:01 1999-12-31T23:00:00-01:00 2026-02-28T10:00:00+0100
    2026-02-28T10:00:00-23:59 2026-02-28T10:00:00+24:00 9999-12-31T23:59:59-23:59 0000-01-01T00:00:00Z
    0001-01-01T00:00:00+01:00 1900-01-01T00:00:00+01:00 2100-12-31T23:59:59-01:00 2099-12-31T23:59:59-23:59 2024-02-29
    2023-02-29 1899-12-31 2100-12-31 2101-01-01 0000-02-29 2026-13-01 2026-2-3""".split()  # noqa: SIM905
_TEXTS = ["", " ", "\t", " x", "x ", "é", "e\u0301", "😀", "\x7f", "\u2028", "\u00a0", "a'b", '"', "\\", "\x00", "eur"]
_TEXTS += ["sale", "return", "delete", "upsert", "adjustment", "delivery", "EUR", "store", *_TIMES, *_NUMBERS]
_RAW = (
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\u0041"',
    '"\\/"',
    '"\x01"',
    "{}",
    "[]",
    "[null]",
    "[[]]",
    '{"a":1,"a":2}',
    "\ufeff",
)


def event(contract: Contract, rng: random.Random) -> dict[str, Any]:
    """An event of the topic, nearly always valid, its members in the contract's order."""
    event_type = rng.choice(contract.event_types)
    known = [f for f in contract.fields if f.name in contract.delete_fields or event_type != "delete"]
    made = {f.name: v for f in known if (v := _value(f, event_type, rng)) is not ...}
    for name in contract.one_of:
        made.pop(name, None)
    if contract.one_of:
        for name in rng.sample(contract.one_of, rng.choice([1] * 30 + [0, 2])):
            made[name] = "P-1"
    return made | {"event_type": event_type}


def _value(field: Field, event_type: str, rng: random.Random) -> Any:
    if not field.is_required(event_type) and rng.random() < 0.3:
        return rng.choice([None, ...])
    if field.kind == "lines":
        lines = [
            {f.name: v for f in field.lines if (v := _value(f, "", rng)) is not ...} for _ in range(rng.randint(1, 3))
        ]
        return [line | {"line_number": n if rng.random() < 0.98 else 1} for n, line in enumerate(lines, 1)]
    if field.kind == "enum":
        return rng.choice(field.values or ("EUR",))
    if field.kind == "integer":
        return rng.randint(field.minimum or 0, field.maximum or 99)
    return {
        "text": lambda: rng.choice([f"X-{rng.randrange(999)}", "Kōhei", "a b", "'"]),
        "money": lambda: rng.choice([rng.randrange(9999) / 100, 5, "12.50", "0.0001"]),
        "time": lambda: rng.choice(["2026-03-02T12:00:00Z", "2026-03-02T12:00:00.123+01:00"]),
        "date": lambda: f"2026-0{rng.randint(1, 9)}-{rng.randint(10, 28)}",
        "boolean": lambda: rng.random() < 0.5,
        "texts": lambda: rng.choice([[], ["drama"], ["mecha", ""]]),
    }[field.kind]()


def damaged(value: bytes, rng: random.Random) -> bytes | None:
    """The value with a few tokens or bytes changed. It may remain valid."""
    if rng.random() < 0.01:
        return rng.choice([None, b"", b" \t\r\n", b"{}", b"[]", b"null", b"\xef\xbb\xbf" + value, value + value])
    if rng.random() < 0.2:
        at = rng.randrange(len(value))
        inserted = rng.choice([b"", bytes([rng.randrange(256)]), rng.choice(b'",:{}[]\\ \n0-').to_bytes()])
        return value[:at] + inserted + value[at + rng.randrange(2) :]
    text = value.decode()
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        tokens = list(_TOKEN.finditer(text))
        if not tokens:
            break
        one = rng.choice(tokens)
        old = one.group()
        pool = [_alike(old, rng)] if rng.random() < 0.5 else _unlike(old, tokens, rng)
        text = text[: one.start()] + rng.choice(pool) + text[one.end() :]
    return text.encode("utf-8", "surrogatepass")


def _alike(old: str, rng: random.Random) -> str:
    """Another token of the same kind, so that the fast path may still read the record."""
    if _DAY.match(old):
        year = rng.choice([1899, 1900, 1999, 2000, 2026, 2099, 2100])
        day = f'"{year}-{rng.randint(1, 12):02}-{rng.randint(1, 31):02}{old[11:]}'
        edge = '"1900-01-01T00:00:00+00:01"' if len(old) > 12 else '"2099-02-29"'
        return rng.choice([day, edge, json.dumps(rng.choice(_TIMES))])
    if old[0] == '"':
        return json.dumps(rng.choice(_TEXTS), ensure_ascii=False)
    if old[0] in "-0123456789":
        return rng.choice([*_NUMBERS, *"123123123123123"])
    return rng.choice(["true", "false", "null"]) if old[0] in "tfn" else rng.choice(list("{}[],:"))


def _unlike(old: str, tokens: list[re.Match[str]], rng: random.Random) -> list[str]:
    pool = [rng.choice(_NUMBERS), json.dumps(rng.choice(_TEXTS), ensure_ascii=rng.random() < 0.3), old + old, ""]
    pool += [rng.choice(["null", "true", "false"]), rng.choice(_RAW), rng.choice(tokens).group(), f" {old}", f"{old}\n"]
    return [*pool, old.upper(), old.replace("1", "0"), f'{old[:-1]}"' if old[0] == '"' else f'"{old}"', "," + old]


def batch(topic: str, rng: random.Random, size: int, damage: float) -> list[bytes | None]:
    """Values of one topic in two layouts; `damage` is the share of damaged values."""
    contract = CONTRACTS[topic]
    orders: list[dict[str, float]] = [{}, {field.name: rng.random() for field in contract.fields}]
    extra = {"gift": True, "note": "x", "points": 12.5} if rng.random() < 0.3 else {}
    values: list[bytes | None] = []
    for _ in range(size):
        order, spaced = rng.choice(orders), rng.random() < 0.2
        made = dict(sorted((event(contract, rng) | extra).items(), key=lambda member: order.get(member[0], 0)))
        value = json.dumps(made, separators=None if spaced else (",", ":"), ensure_ascii=spaced).encode()
        values.append(damaged(value, rng) if rng.random() < damage else value)
    return values


def differences(contract: Contract, values: list[bytes | None], parsed: Parsed, rules: ParseRules) -> list[str]:
    """Violations of the laws."""
    every = pl.Series(range(len(values)), dtype=pl.UInt32)
    exact = parse_exactly(contract, pa.array(values, pa.binary()), every, rules)
    rows = [*parsed.events["row"], *parsed.rejects["row"]]
    found = [] if sorted(rows) == list(range(len(values))) else ["a record is in no frame or in two"]
    for name, ours, theirs in (("events", parsed.events, exact.events), ("rejects", parsed.rejects, exact.rejects)):
        if not ours["row"].is_sorted():
            found.append(f"{name} are out of order")
        if not ours.equals(theirs) or ours.schema != theirs.schema:
            left = {row["row"]: row for row in _numeric(ours).to_dicts()}
            right = {row["row"]: row for row in _numeric(theirs).to_dicts()}
            odd = [row for row in sorted(left | right) if left.get(row) != right.get(row)]
            found += [f"{name}: {values[row]!r}: {left.get(row)} but exactly {right.get(row)}" for row in odd[:3]]
            found += [] if odd else [f"{name}: types differ"]
    return found


class _RaisingHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise AssertionError(record.getMessage())


def _numeric(frame: pl.DataFrame) -> pl.DataFrame:
    """Times and dates as numbers, because Python has no year 0."""
    return frame.with_columns(pl.col(pl.Datetime, pl.Date).to_physical())


def main() -> int:
    """Fuzz the number of records given on the command line."""
    logging.getLogger("pipelines.parsing.parse").addHandler(_RaisingHandler())
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    rng, layouts, rules = random.Random(seed), Layouts(), ParseRules()
    done = accepted = 0
    started = time.perf_counter()
    while done < count:
        topic = TOPICS[done // BATCH % len(TOPICS)]
        values = batch(topic, rng, BATCH, rng.choice([0.05, 0.3, 0.9]))
        parsed = parse(CONTRACTS[topic], pa.array(values, pa.binary()), rules, layouts)
        if found := differences(CONTRACTS[topic], values, parsed, rules):
            print("\n".join(found))
            return 1
        done, accepted = done + len(values), accepted + parsed.events.height
    seconds = time.perf_counter() - started
    print(f"{done} records, {accepted} events, {done - accepted} rejects, 0 differences, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
