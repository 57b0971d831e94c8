"""The fixed corpus: sales of 400-450 bytes with 1 to 3 lines each, and the expected outcome.

Every value is a function of the event's number, so the corpus is the same everywhere and for any chunk size. Events
are spread evenly over the days. Copies repeat an event of at most an hour before, byte for byte, in the same
partition. Late events happened one to 24 hours before they arrive. All events are valid.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from pipelines.log.interface import OUTGOING

Ints = npt.NDArray[np.int64]
TOPIC, PARTITIONS = "pos-transactions", 4
HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR
START = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 1_000_000
CUSTOMERS, PRODUCTS, STORES = 50_000, 2_000, 12
_ID = "b5f1c2d0-7a31-4e0b-9c55-"
_OUT_OF_ORDER = 600_000_000  # R15: later than this is late


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of an event: the maximum number of lines, and whether optional fields and long ids are omitted."""

    lines: int = 3
    is_lean: bool = False


FULL, LEAN = Shape(), Shape(lines=1, is_lean=True)  # about 430 B, about 256 B


@dataclass(slots=True)
class Truth:
    """Expected outcome. `checksum` is the sum of a hash of each event's number, modulo 2^64."""

    records: int = 0
    bytes: int = 0
    events: int = 0
    late: int = 0
    lines: int = 0
    cents: int = 0  # net sales
    checksum: int = 0


@dataclass(slots=True)
class Corpus:
    """`records` sales over `days` days. `truth` covers the chunks taken so far."""

    records: int
    days: int = 7
    copies: int = 100  # one in this number of records repeats an event
    late: int = 50  # one in this number of events is late
    shape: Shape = FULL
    truth: Truth = field(default_factory=Truth)

    def chunks(self, size: int = 100_000) -> Iterator[pa.Table]:
        """Yield the records (schema OUTGOING) in order of arrival."""
        highs = np.full(PARTITIONS, np.iinfo(np.int64).min)
        for begin in range(0, self.records, size):
            yield self._chunk(np.arange(begin, min(begin + size, self.records)), highs)

    def _chunk(self, positions: Ints, highs: Ints) -> pa.Table:
        events = self.records - self.records // self.copies
        newest = np.where(positions % self.copies == self.copies - 1, positions - 1, positions)
        newest -= newest // self.copies
        is_copy = positions % self.copies == self.copies - 1
        reach = np.minimum(newest + 1, max(1, events // (self.days * 24)))
        number = np.where(is_copy, newest - (mixed(positions, 1) % reach.astype(np.uint64)).astype(np.int64), newest)
        span = self.days * DAY
        arrived = START + newest * (span // events)
        happened = START + number * (span // events)
        is_late = mixed(number, 2) % np.uint64(self.late) == 0
        happened -= np.where(is_late, HOUR + (mixed(number, 3) % np.uint64(23 * HOUR)).astype(np.int64), 0)
        sold = sales(number, happened, self.shape)
        first = ~is_copy
        self._add(sold, first, number, happened, highs)
        return outgoing(sold, number % PARTITIONS, arrived)

    def _add(self, sold: pl.DataFrame, first: npt.NDArray[np.bool_], number: Ints, time: Ints, highs: Ints) -> None:
        truth, new = self.truth, sold.filter(pl.Series(first))
        truth.records += len(number)
        truth.bytes += int(sold["value"].str.len_bytes().sum())
        truth.events += new.height
        truth.lines += int(new["lines"].sum())
        truth.cents += int(new["cents"].sum())
        truth.checksum = (truth.checksum + checksum(number[first])) % 2**64
        for partition in range(PARTITIONS):
            mine = np.flatnonzero(number % PARTITIONS == partition)
            if not len(mine):
                continue
            reached = np.maximum.accumulate(np.concatenate((highs[partition : partition + 1], time[mine])))
            before = np.maximum(reached[:-1], np.iinfo(np.int64).min + _OUT_OF_ORDER)
            truth.late += int(np.count_nonzero(first[mine] & (time[mine] < before - _OUT_OF_ORDER)))
            highs[partition] = reached[-1]


def sales(number: Ints, happened: Ints, shape: Shape = FULL) -> pl.DataFrame:
    """Return the events of these numbers: value, key (text), lines, cents (net sales, negative for a return)."""
    frame = pl.DataFrame({"number": number, "at": happened}).with_columns(
        id=pl.col("number").cast(pl.String).str.zfill(12),
        time=pl.from_epoch("at", "us").dt.strftime("%Y-%m-%dT%H:%M:%S.%6fZ"),
        lines=_draw(number, 4, shape.lines) + 1,
        is_return=_draw(number, 5, 33) == 0,
    )
    columns = {f"{name}{line}": _draw(number, 10 * line + salt, most) + least
               for line in range(1, shape.lines + 1)
               for name, salt, most, least in (("product", 0, PRODUCTS, 0), ("quantity", 1, 4, 1),
                                               ("price", 2, 9_700, 299), ("off", 3, 995, -795))}  # fmt: skip
    frame = frame.with_columns(**columns).with_columns(pl.col("^off.*$").clip(lower_bound=0))
    items, net = [], pl.lit(0)
    for line in range(1, shape.lines + 1):
        has = pl.col("lines") >= line
        price, off = pl.col(f"price{line}"), pl.min_horizontal(f"off{line}", pl.col(f"price{line}"))
        net = net + pl.when(has).then(pl.col(f"quantity{line}") * price - off).otherwise(0)
        text = _text(
            '%s{"line_number":' + str(line) + ',"product_id":"P-%s","quantity":%s,"unit_price":%s%s}',
            pl.lit("," if line > 1 else ""),
            pl.col(f"product{line}").cast(pl.String).str.zfill(5),
            f"quantity{line}",
            _amount(price),
            pl.when(off > 0).then(_text(',"discount_amount":%s', _amount(off))).otherwise(pl.lit("")),
        )
        items.append(pl.when(has).then(text).otherwise(pl.lit("")))
    return frame.with_columns(items=pl.concat_str(items), cents=pl.when("is_return").then(-net).otherwise(net)).select(
        value=_lean() if shape.is_lean else _full(number), key=_text("TX-%s", "id"), lines="lines", cents="cents"
    )


def _full(number: Ints) -> pl.Expr:
    customer, store = _draw(number, 6, CUSTOMERS), _draw(number, 7, 3 * STORES) + 1
    return _text(
        '{"event_id":"' + _ID + '%s","event_type":"%s","event_time":"%s","transaction_id":"TX-%s",%s%s"channel":"%s",%s'
        '"payment_method":"%s","currency":"EUR","items":[%s]}',
        "id",
        pl.when("is_return").then(pl.lit("return")).otherwise(pl.lit("sale")),
        "time",
        "id",
        pl.when("is_return").then(_text('"original_transaction_id":"TX-%s",', "id")).otherwise(pl.lit("")),
        pl.when(customer % 10 > 0)
        .then(_text('"customer_id":"C-%s",', customer.cast(pl.String).str.zfill(8)))
        .otherwise(pl.lit("")),
        pl.when(store <= STORES).then(pl.lit("store")).when(store % 2 == 0).then(pl.lit("online")).otherwise(
            pl.lit("mobile")
        ),
        pl.when(store <= STORES)
        .then(_text('"store_id":"ST-%s",', store.cast(pl.String).str.zfill(2)))
        .otherwise(pl.lit("")),
        pl.when(store % 3 == 0).then(pl.lit("card")).when(store % 3 == 1).then(pl.lit("paypal")).otherwise(
            pl.lit("cash")
        ),
        "items",
    )  # fmt: skip


def _lean() -> pl.Expr:
    return _text(
        '{"event_id":"%s","event_type":"%s","event_time":"%s","transaction_id":"TX-%s","channel":"online",'
        '"payment_method":"card","currency":"EUR","items":[%s]}',
        "id",
        pl.when("is_return").then(pl.lit("return")).otherwise(pl.lit("sale")),
        "time",
        "id",
        "items",
    )


def outgoing(sold: pl.DataFrame, partition: Ints, arrived: Ints | None) -> pa.Table:
    """Return the events as records to send. Without arrival times the log sets the timetimestamps."""
    timestamps = pa.nulls(sold.height, pa.int64()) if arrived is None else pa.array(arrived)
    columns = {
        "partition": pa.array(partition),
        "timestamp": timestamps.cast(OUTGOING.field("timestamp").type),
        "key": sold["key"].to_arrow().cast(pa.binary()),
        "headers": pa.nulls(sold.height, OUTGOING.field("headers").type),
        "value": sold["value"].to_arrow().cast(pa.binary()),
    }
    return pa.Table.from_pydict(columns, schema=OUTGOING)


def numbers_of(ids: pa.ChunkedArray) -> Ints:
    """Return the event numbers of these ids."""
    last = pl.Series(pl.from_arrow(ids)).cast(pl.String).str.slice(-12)
    found: Ints = last.cast(pl.Int64).to_numpy()
    return found


def checksum(number: Ints) -> int:
    """Return a checksum of a set of events that does not depend on their order."""
    return int(mixed(number, 0).sum(dtype=np.uint64))


def mixed(number: Ints, salt: int) -> npt.NDArray[np.uint64]:
    """Return SplitMix64 of number and salt."""
    with np.errstate(over="ignore"):
        bits = number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt * 0xD1342543DE82EF95 % 2**64)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return bits ^ (bits >> np.uint64(31))


def _text(template: str, *parts: pl.Expr | str) -> pl.Expr:
    """Return the template with each `%s` replaced by a part: an expression or a column name."""
    first, *rest = template.split("%s")
    pieces = [pl.lit(first)]
    for part, literal in zip(parts, rest, strict=True):
        pieces += [(pl.col(part) if isinstance(part, str) else part).cast(pl.String), pl.lit(literal)]
    return pl.concat_str(pieces)


def _amount(cents: pl.Expr) -> pl.Expr:
    """Format cents with two decimals, without floats."""
    return pl.format("{}.{}", cents // 100, (cents % 100).cast(pl.String).str.zfill(2))


def _draw(number: Ints, salt: int, most: int) -> pl.Expr:
    """Draw uniformly from 0 to most - 1."""
    return pl.lit(pl.Series((mixed(number, salt) % np.uint64(most)).astype(np.int64)))
