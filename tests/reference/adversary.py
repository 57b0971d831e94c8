"""Generate logs with adversarial times, orders and copies. Everything is a function of the seed."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .adversary_values import broken_bytes, conflicting, mutate, rewritten, with_extras
from .contract import Policy
from .contract_table import KEYS, MASTER, TOPICS
from .samples import START, Raw, encode, event, iso
from .silver import RELEASE, Record

MICRO = timedelta(microseconds=1)
DAY = timedelta(days=1)
PRICES: list[Any] = [5, Raw("9.99"), "12.5", Raw("0"), Raw("3.33335"), Raw("99999999999999.9999")]


@dataclass(slots=True)
class _Writer:
    """Writes the log of one topic in order of arrival."""

    topic: str
    rng: random.Random
    policy: Policy
    partitions: int
    tame: bool  # no copies beyond the horizon (R21) and no invalid values
    clock: datetime = START
    peaks: dict[int, datetime] = field(default_factory=dict)  # greatest event_time sent, by partition
    offsets: dict[int, int] = field(default_factory=dict)
    sent: list[tuple[int, dict[str, Any], bytes]] = field(default_factory=list)  # partition, event, value
    records: list[Record] = field(default_factory=list)
    asleep: set[int] = field(default_factory=set)

    def partition(self) -> int:
        awake = [one for one in range(self.partitions) if one not in self.asleep]
        return self.rng.choice(awake or [0])

    def send(self, partition: int, value: bytes | None, **more: Any) -> None:
        """Append a record. Offsets have occasional gaps (R50)."""
        rng = self.rng
        offset = self.offsets.get(partition, 0) + rng.choice([0, 0, 0, 0, 1, 3])
        self.offsets[partition] = offset + 1
        more.setdefault("timestamp", self.clock if rng.random() < 0.95 else None)
        self.records.append(Record(self.topic, 0, partition, offset, value=value, **more))

    def send_event(self, partition: int, made: dict[str, Any], value: bytes | None = None, **more: Any) -> None:
        """Append and remember the event. Its key is usually correct."""
        rng = self.rng
        value = encode(made) if value is None else value
        key = str(made.get(KEYS[self.topic])).encode()
        more.setdefault("key", rng.choice([key] * 8 + [None, b"", key + b"x", b"\xff"]))
        self.sent.append((partition, made, value))
        self.send(partition, value, **more)

    def event_time(self, partition: int) -> datetime:
        """Return a time near the clock, at a boundary, or equal to an earlier one."""
        rng, policy = self.rng, self.policy
        chance, peak = rng.random(), self.peaks.get(partition, self.clock)
        nudge = rng.choice([-MICRO, timedelta(0), MICRO])
        if self.topic in MASTER and chance < 0.5:
            return START + rng.randrange(-20, 8) * DAY / 2
        if chance < 0.5:
            return self.clock - timedelta(seconds=rng.randrange(900), microseconds=rng.choice([0, 0, 1, 999_999]))
        if chance < 0.6:
            return peak - policy.out_of_orderness + nudge
        if chance < 0.7:
            return peak - policy.allowed_lateness + nudge
        if chance < 0.78:
            return self.clock + policy.future_tolerance + nudge
        if chance < 0.85:
            return peak - timedelta(seconds=rng.randrange(200_000))
        return peak

    def fresh(self, partition: int) -> dict[str, Any]:
        """Return a new valid event."""
        rng, topic = self.rng, self.topic
        moment = self.event_time(partition)
        made = event(topic, event_id=f"{topic[0]}{partition}-{len(self.sent)}", event_time=iso(moment))
        made |= _shape(rng, topic, made)
        self.peaks[partition] = max(self.peaks.get(partition, moment), moment)
        return made

    def copy(self) -> None:
        """Append a copy of an earlier event: same or other bytes or content, same or other partition, soon or later."""
        rng = self.rng
        recent = self.sent[-12:] if self.tame else self.sent
        partition, made, value = rng.choice(rng.choice([recent, recent[-8:], recent[:3]]))
        if rng.random() < 0.4:
            partition = self.partition()
        kind = rng.random()
        if kind < 0.35:
            self.send(partition, value, key=str(made.get(KEYS[self.topic])).encode())
        elif kind < 0.65 and not any(isinstance(one, Raw) and one.text[:1] in '{["' for one in made.values()):
            self.send(partition, rewritten(rng, made))
        elif kind < 0.85 or self.tame:
            self.send(partition, encode(conflicting(rng, made)))
        else:
            other = self.event_time(partition)
            self.send(partition, encode({**made, "event_time": iso(other)}))

    def spoil(self) -> None:
        """Append an invalid record, and sometimes its corrected resend with the same event_id."""
        rng, partition = self.rng, self.partition()
        made = self.fresh(partition)
        kind = rng.random()
        if kind < 0.55:
            self.send_event(partition, mutate(rng, made))
        elif kind < 0.7:
            self.send_event(partition, with_extras(rng, made))
        elif kind < 0.95:
            self.send(partition, broken_bytes(rng, encode(made)), key=b"k")
        else:
            self.send(partition, rng.choice([None, b""]))
        if rng.random() < 0.5:
            self.send_event(partition, made)

    def release(self) -> None:
        """Append a record with a release header (R27) that is correct, wrong, or names no record."""
        rng, topic = self.rng, self.topic
        named = rng.choice(self.records)
        place = rng.choice(
            [
                f"{topic}/{named.partition}/{named.offset}",
                f"{topic}/{named.partition}/{named.offset}",
                f"{rng.choice(TOPICS)}/{named.partition}/{named.offset}",
                f"{topic}/{named.partition}/{named.offset + 1000}",
                "nonsense",
                "",
            ]
        )
        headers = (("trace", b"\x00"), (RELEASE, place.encode()))
        value = named.value if rng.random() < 0.6 else encode(self.fresh(named.partition))
        self.send(self.partition(), value, headers=headers)

    def move_on(self) -> None:
        """Advance the clock by seconds, sometimes by days; partitions become idle and resume."""
        rng = self.rng
        self.clock += timedelta(seconds=rng.choice([0, 1, 20, 60, 299, 300, 301, 900]), microseconds=rng.randrange(3))
        if rng.random() < 0.02:
            self.clock += timedelta(hours=rng.choice([3, 24, 47, 48, 49, 200]))
        if rng.random() < 0.05:
            self.asleep = {one for one in range(self.partitions) if rng.random() < 0.5}

    def step(self) -> None:
        rng = self.rng
        self.move_on()
        chance = rng.random()
        if chance < 0.2 and self.sent:
            self.copy()
        elif chance < 0.4 and not self.tame:
            self.spoil()
        elif chance < 0.44 and self.records and not self.tame:
            self.release()
        else:
            partition = self.partition()
            self.send_event(partition, self.fresh(partition))


def _shape(rng: random.Random, topic: str, made: dict[str, Any]) -> dict[str, Any]:
    """Return valid values: ids from small pools that events share, and varied types, amounts and optional members."""
    change: dict[str, Any] = {}
    pools = {"customer_id": "C", "product_id": "P", "title_id": "A", "warehouse_id": "W", "theater_id": "H"}
    for name, letter in pools.items():
        if name in made:
            change[name] = f"{letter}{rng.randrange(5)}"
    if topic == "pos-transactions":
        change["transaction_id"] = f"T{rng.randrange(30)}"
        change["event_type"] = rng.choice(["sale", "sale", "sale", "return"])
        change["original_transaction_id"] = rng.choice([None, f"T{rng.randrange(40)}"])
        change["channel"] = rng.choice(["store", "online", "mobile"])
        change["store_id"] = rng.choice([None, "S1", "S2"])
        change["customer_id"] = rng.choice([change["customer_id"], None])
        numbers = rng.sample(range(1, 9), rng.randrange(1, 4))
        change["items"] = [
            {
                "line_number": number,
                "product_id": f"P{rng.randrange(5)}",
                "quantity": rng.choice([1, 2, 7, 1_000_000]),
                "unit_price": rng.choice(PRICES),
                "discount_amount": rng.choice([None, 0, "1.5", Raw("0.00005")]),
            }
            for number in numbers
        ]
    elif topic == "cinema-sales":
        change["booking_id"] = f"B{rng.randrange(20)}"
        change["event_type"] = rng.choice(["booking", "booking", "cancellation"])
        change |= {"seats_booked": rng.randrange(1, 6), "ticket_price": rng.choice(PRICES)}
        change["concession_amount"] = rng.choice([None, 0, "7.25"])
        change["customer_id"] = rng.choice([change["customer_id"], None])
        change["screening_id"] = f"S{rng.randrange(4)}"
    elif topic == "inventory-updates":
        kind = rng.choice(["delivery", "adjustment", "transfer_in", "transfer_out", "shrinkage"])
        change |= {"event_type": kind, "quantity": rng.choice([-3, 0, 4]) if kind == "adjustment" else 6}
        change["supplier_id"] = "V1" if kind == "delivery" else rng.choice([None, "", "V2"])
    elif topic == "customer-reviews":
        subject = rng.choice(["product_id", "title_id"])
        change["title_id"] = None
        change |= {
            subject: f"{'P' if subject == 'product_id' else 'A'}{rng.randrange(5)}",
            "rating": rng.randrange(1, 6),
        }
    else:
        change |= _master(rng, topic)
    return change


def _master(rng: random.Random, topic: str) -> dict[str, Any]:
    """Return a change from a few values, so that many changes leave the tracked columns equal."""
    if rng.random() < 0.2:
        return {"event_type": "delete"}
    if topic == "customer-profiles":
        tier, city = rng.choice(["none", "gold"]), rng.choice(["Wien", "Linz"])
        return {"loyalty_tier": tier, "city": city, "email": f"{rng.randrange(9)}@example.com"}
    if topic == "product-catalog":
        return {
            "unit_cost": rng.choice([4, "4.5"]),
            "status": rng.choice(["active", "discontinued"]),
            "name": f"N{rng.randrange(9)}",
        }
    return {"status": rng.choice(["announced", "showing"]), "run_end": rng.choice([None, "2026-05-01"])}


def adversarial_log(seed: int, topic: str, policy: Policy | None = None, *, size: int | None = None) -> list[Record]:
    """Return 50 to 400 records of one topic in bronze order, over 1 to 4 partitions and several batches."""
    rng = random.Random(f"{seed}/{topic}")
    return _write(rng, topic, policy or Policy(), rng.randrange(50, 400) if size is None else size, tame=False)


def adversarial_world(seed: int, size: int = 80) -> list[Record]:
    """Return valid logs of all seven topics, with copies only inside the horizon, for tests of gold."""
    return [
        record
        for topic in TOPICS
        for record in _write(random.Random(f"{seed}/{topic}/world"), topic, Policy(), size, tame=True)
    ]


def _write(rng: random.Random, topic: str, policy: Policy, size: int, *, tame: bool) -> list[Record]:
    writer = _Writer(topic, rng, policy, rng.randrange(1, 5), tame)
    while len(writer.records) < size:
        writer.step()
    return in_batches(writer.records, rng)


def in_batches(records: list[Record], rng: random.Random) -> list[Record]:
    """Divide the arrival order into random batches and return the records in bronze order."""
    made: list[Record] = []
    batch_id = 1
    for one in records:
        if rng.random() < 0.06:
            batch_id += rng.choice([1, 1, 2])
        made.append(
            Record(one.topic, batch_id, one.partition, one.offset, one.timestamp, one.key, one.value, one.headers)
        )
    return sorted(made, key=lambda one: (one.batch_id, one.partition, one.offset))
