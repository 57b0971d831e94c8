"""Generate adversarial record values: invalid bytes, contract violations, rewritten copies. Seeded."""

import json
import random
from typing import Any

from .contract_table import TOPICS
from .rfc8259 import NUMBER
from .samples import Raw, encode, event, write


def _words(text: str) -> list[str]:
    return text.split()


BROKEN = (
    b"",
    b" ",
    b"\t\r\n ",
    b"\x0b",
    b"\x00",
    b"null",
    b"true",
    b"1",
    b'"x"',
    b"[]",
    b"{",
    b"}",
    b"{}",
    b"{} {}",
    b"{},",
    b"{}\x00",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{}",
    b'{"event_id":NaN}',
    b'{"event_id":Infinity}',
    b'{"event_id":-Infinity}',
    b'{"event_id":nul}',
    b'{"event_id":"\xc3\x28"}',
    b'{"event_id":"\xed\xa0\x80"}',
    rb'{"event_id":"\ud800"}',
    rb'{"event_id":"\udc00\ud800"}',
    rb'{"event_id":"\uD83D\u0041"}',
    rb'{"event_id":"\u00zz"}',
    rb'{"\udfff":1}',
    b'{"event_id":"a\nb"}',
    b"[" * 129 + b"]" * 129,
    b"[" * 128 + b"]" * 128,
    b"[" * 5000,
    b'{"a":' * 200,
)

NUMBERS = _words(
    "0 -0 1 -1 2 5 6 1.0 1e0 10e-1 0.5 -0.0 3.5 1E+2 1e400 -1e400 1e-400 0e999999999999 1e999999999999999999999 "
    "9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 9223372036854775807.0 "
    "9223372036854775807.5 9007199254740993 99999999999999.9999 99999999999999.99994 99999999999999.99995 "
    "100000000000000 -99999999999999.9999 0.00005 0.00004999999999999999999999 0.00015 -0.00001 1.00000 "
    "2.675 0.1 12345.67895 01 1. .5 +1 1e 0x10 1_000 NaN Infinity -"
)
NUMBERS += [
    "1" * 400,
    "0." + "0" * 5000 + "1",
    "0." + "0" * 5000,
    "0.12345" + "0" * 5000,
    "1e" + "9" * 5000,
    "-1e-" + "9" * 5000,
    "-0e-" + "9" * 5000,
    "1" + "0" * 4400,
    "1" * 5000 + "e-4990",
    "1e" + "0" * 50 + "1",
]
TIMES = _words(
    "2026-03-02T12:00:00Z 2026-03-02t12:00:00z 2026-03-02T12:00:00.1Z 2026-03-02T12:00:00.1234567890123Z "
    "2026-03-02T12:00:00.9999999+00:00 2026-03-02T12:00:00-00:00 2026-03-02T23:59:59.999999999-14:00 "
    "2026-03-02T12:00:00+14:00 2026-03-02T12:00:00+23:59 2026-03-02T12:00:00+24:00 2026-03-02T12:00:00+01:60 "
    "2026-03-02T12:00:00 2026-03-02T12:00:00+0100 2026-03-02T12:00:00+01 2026-03-02T12:00Z 2026-03-02 "
    "2026-03-02T24:00:00Z 2026-03-02T23:59:60Z 2026-03-02T12:60:00Z 2026-02-30T12:00:00Z 2024-02-29T00:00:00Z "
    "2023-02-29T00:00:00Z 2026-13-01T00:00:00Z 2026-00-01T00:00:00Z 2026-3-2T12:00:00Z 2026-03-02T12:00:00.Z "
    "2026-03-02T12:00:00,5Z 2000-01-01T00:00:00Z 1999-12-31T23:59:59.999999Z 1999-12-31T23:59:59.9999999Z "
    "2000-01-01T00:59:59+01:00 1999-12-31T23:00:00-01:00 0001-01-01T00:00:00Z 1900-01-01T00:00:00Z "
    "1899-12-31T23:59:59.999999Z 1900-01-01T00:00:00+00:01 2100-12-31T23:59:59.999999Z 2101-01-01T00:00:00Z "
    "2101-01-01T00:00:00+00:01 20260302T120000Z 2026-W10-1T12:00:00Z 2026-03-02T12:00:00Zz -2026-03-02T12:00:00Z "
    "+002026-03-02T12:00:00Z 1772452800 0000-01-01T00:00:00Z 0000-02-29T00:00:00Z 9999-12-31T23:59:59.9999999Z "
    "9999-12-31T23:59:59-01:00 0001-01-01T00:00:00+01:00 2262-04-12T00:00:00Z 1677-09-21T00:00:00Z"
)
DATES = _words(
    "2000-02-29 1900-02-29 2100-02-28 1900-01-01 1899-12-31 2100-12-31 2101-01-01 2026-02-30 2026-04-31 2026-13-01 "
    "2026-1-1 20260101 2026/01/01 01-01-2026 2026-01-01T00:00:00Z 2026-01-01Z 0001-01-01 9999-12-31 12026-01-01 "
    "0000-02-29 0000-02-30"
)
TEXTS = [
    "",
    " ",
    "\t\r\n",
    "\u00a0",
    "\u2003",
    "\x0b",
    "\x00",
    "x",
    " x ",
    "e\u0301",
    "\u00e9",
    "😀",
    '"\\/',
    "null",
    "true",
    "NaN",
    "a" * 3000,
    "2026-03-02 12:00:00Z",
    "2026-03-02T12:00:00Z ",
    " 2026-03-02T12:00:00Z",
    "٢٠٢٦-03-02T12:00:00Z",
    "٣",
    "1 ",
    "1,5",
    "EUR",
    "eur",
    "JPY",
    "sale",
    "Sale",
    "delete",
    "upsert",
    "adjustment",
    "shrinkage",
    "transfer_out",
    "return",
    "cancellation",
    "store",
    "mobile",
]


def nasty(rng: random.Random) -> Any:
    """Return a value of any kind; `...` means: omit the member."""
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice([None, ..., True, False])
    if kind == 1:
        return Raw(rng.choice(NUMBERS))
    if kind == 2:
        return rng.choice(NUMBERS)
    if kind == 3:
        return rng.choice(TIMES)
    if kind == 4:
        return rng.choice(DATES)
    if kind == 5:
        return rng.choice(TEXTS)
    if kind == 6:
        return rng.choice([[], [None], ["a", "b"], ["a", None], [1], [[]], [{}], [""]])
    return rng.choice([{}, {"a": None}, {"a": 1}, Raw('{"a":1,"a":2}'), Raw(rb'"\u0041\n"'.decode())])


def valid_number(rng: random.Random) -> Raw:
    """Return a number that is valid JSON."""
    return Raw(rng.choice([text for text in NUMBERS if NUMBER.fullmatch(text)]))


def mutate(rng: random.Random, made: dict[str, Any]) -> dict[str, Any]:
    """Return a copy with one to three members, or members of lines, replaced by adversarial values."""
    changed = dict(made)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        name = rng.choice([*changed, "items"] if "items" in changed else list(changed))
        lines = changed.get(name)
        if name == "items" and isinstance(lines, list) and lines and rng.random() < 0.85:
            lines = [dict(line) if isinstance(line, dict) else line for line in lines]
            line = rng.choice(lines)
            if isinstance(line, dict) and line:
                part = rng.choice([*line, "discount_amount"])
                line[part] = nasty(rng) if rng.random() < 0.5 else valid_number(rng)
            lines = [_without_gaps(line) if isinstance(line, dict) else line for line in lines]
            changed[name] = lines + rng.choice([[], [], [], lines[:1], [None], [7]])
        else:
            changed[name] = valid_number(rng) if isinstance(lines, int | Raw) and rng.random() < 0.5 else nasty(rng)
    return _without_gaps(changed)


def _without_gaps(made: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in made.items() if one is not ...}


def with_extras(rng: random.Random, made: dict[str, Any]) -> dict[str, Any]:
    """Return a copy with members that are not in the contract."""
    names = ["coupon", "Event_ID", "x1", "EVENT_TIME", "_partition", "sprache", "a b", "", "größe", "items2", "k" * 64]
    extras = {name: value for name in rng.sample(names, rng.randrange(1, 4)) if (value := nasty(rng)) is not ...}
    changed = {**made, **extras}
    if isinstance(made.get("items"), list) and rng.random() < 0.3:
        changed["items"] = [{**line, "gift": True} if isinstance(line, dict) else line for line in made["items"]]
    return changed


def rewritten(rng: random.Random, made: dict[str, Any]) -> bytes:
    """Return an event that is identical by R22 but has other bytes."""
    other = _respelled(rng, made)
    if rng.random() < 0.5:
        other["nothing"] = None
    return write(other, rng.choice(["", " ", "\n\t", "  "])).encode("utf-8", "surrogatepass")


def _respelled(rng: random.Random, value: Any) -> Any:
    if isinstance(value, dict):
        members = [(name, _respelled(rng, one)) for name, one in value.items() if one is not None]
        rng.shuffle(members)
        return dict(members)
    if isinstance(value, list):
        return [_respelled(rng, one) for one in value]
    if isinstance(value, str):
        return Raw(json.dumps(value, ensure_ascii=rng.random() < 0.5))
    text = value.text if isinstance(value, Raw) else str(value)
    found = NUMBER.fullmatch(text)
    if isinstance(value, bool) or value is None or not found:
        return value
    _, whole, fraction, exponent = found.groups()
    if exponent:
        return value
    spellings = [text, f"{text}e0", f"{text}E+00", f"{text}{'' if fraction else '.'}000"]
    if len(whole) > 1 and not fraction:
        spellings.append(f"{text[:-1]}.{text[-1]}e1")
    return Raw(rng.choice(spellings))


def conflicting(rng: random.Random, made: dict[str, Any]) -> dict[str, Any]:
    """Return a copy that differs in one member and still satisfies the contract."""
    changed = dict(made)
    name = rng.choice(["payment_method", "city", "warehouse_id", "studio", "category", "review_text", "note", "note"])
    changed[name if name in made else "note"] = rng.choice(["other", "Other", "other ", "\u00f6ther", "o\u0308ther"])
    return changed


def broken_bytes(rng: random.Random, value: bytes) -> bytes:
    """Return bytes that are usually not a valid event."""
    place = rng.randrange(len(value) + 1)
    return rng.choice(
        [
            rng.choice(BROKEN),
            value[:place],
            value[:place] + rng.choice([b"\x00", b"\xff", b",", b'"', b"}", b"]", b"\\", b" ", b"0"]) + value[place:],
            value[:-1] + b"," + value[1:],
            value + value,
            b"\xef\xbb\xbf" + value,
            value[:-1] + b',"event_id":"E1"}',
            value[:-1] + rb',"event\u005ftime":null}',
            value[:-1] + b',"deep":' + b"[" * 127 + b"]" * 127 + b"}",
            value[:-1] + b',"deep":' + b"[" * 128 + b"]" * 128 + b"}",
            value[:-1] + b',"x":{"y":1,"y":2}}',
            value[:-1] + b',"items":[{"a":1,"a":2}]}',
            value.replace(b":", b" : ", 3),
            value.replace(b'"', b"'", 2),
        ]
    )


def any_value(seed: int) -> tuple[str, bytes | None]:
    """Return a topic and a value for it. About a third of the values satisfy the contract."""
    rng = random.Random(seed)
    topic = rng.choice(TOPICS)
    made = event(topic, event_id=f"E{seed}")
    chance = rng.random()
    if chance < 0.1:
        return topic, rewritten(rng, made)
    if chance < 0.65:
        made = mutate(rng, made)
    if rng.random() < 0.2:
        made = with_extras(rng, made)
    value = encode(made)
    if chance > 0.8:
        return topic, rng.choice([broken_bytes(rng, value)] * 40 + [None])
    return topic, value
