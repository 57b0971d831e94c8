"""Strict JSON, the equality of R22, and the event_id of a value."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.parsing.json_text import InvalidJsonError, canonical, compact, event_id_of, read

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abé", max_size=2), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"{} // no",
        b"[1,]",
        b'{"a":1,}',
        b"{'a':1}",
        b"{a:1}",
        b"01",
        b"-",
        b"+1",
        b".5",
        b"1.",
        b"1e",
        b"0x10",
        b"NaN",
        b"-Infinity",
        b'{"a":Infinity}',
        b"nul",
        b"\x0b1",
        b"\xc2\xa01",
        b"\xef\xbb\xbf{}",
        b"\xff",
        b'"\xed\xa0\x80"',
        b'"\xc0\x80"',
        b'"\n"',
        b'"\x00"',
        rb'"\x"',
        rb'"\u12"',
        rb'"\ud800"',
        rb'"\uDC00\ud800"',
        rb'{"\udfff":1}',
        rb'"\ud83d\u0041"',
        rb'"\\\ud800"',
        "\uff11".encode(),
    ],
)
def test_invalid_json_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidJsonError):
        read(value)


def test_valid_json_keeps_number_tokens_order_and_repeated_names() -> None:
    tree = read(rb' { "b" : [1.50, -0e+1], "a" : null, "b" : "\ud83d\ude00\u0000\\ud800" } ')
    assert tree == (("b", [b"1.50", b"-0e+1"]), ("a", None), ("b", "😀\x00\\ud800"))
    assert compact(tree) == '{"b":[1.50,-0e+1],"a":null,"b":"😀\\u0000\\\\ud800"}'


def test_values_may_have_128_levels() -> None:
    assert read(b"[" * 128 + b"]" * 128)
    assert read(b'{"a":' * 127 + b'{"b":"' + b"[" * 200 + b'"}' + b"}" * 127)
    for opened, closed in ((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")):
        with pytest.raises(InvalidJsonError, match="deeper"):
            read(opened * 129 + b"1" + closed * 129)
    with pytest.raises(InvalidJsonError):
        read(b"[" * 100_000)


@pytest.mark.parametrize(
    "value",
    [
        b'"' + b"a" * 10**7 + b'"',
        b"[" * 200 + b'"' + rb"\"" * 5 * 10**6,
        b"[" * 200 + b'"' * 10**7,
        b"[" * 200 + b"\\" * 10**7,
        b"1" * 10**7,
        b"-1e" + b"9" * 10**7,
        b"0." + b"0" * 10**7 + b"1",
        b'"' + rb"\ud83d\ude00" * 8 * 10**5 + b'"',
        b" " * 10**7 + b"1",
    ],
    ids=["text", "open text", "quotes", "backslashes", "digits", "exponent", "fraction", "escapes", "space"],
)
def test_time_is_linear_in_the_length_of_the_value(value: bytes) -> None:
    """Quadratic time would be hours. The limit allows for slow machines."""
    started = time.perf_counter()
    try:
        canonical(value)
    except InvalidJsonError:
        assert value[:1] == b"["
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a":1,"b":2}', b' {"b" : 2,\n"a":1}\t'),
        (b"1", b"1.0"),
        (b"1", b"1e0"),
        (b"100", b"1E+2"),
        (b"0", b"-0.0e9"),
        (b"12.5", b"1250e-2"),
        (b"1e1" + b"0" * 700, b"10e" + b"9" * 700),
        (b'{"a":null}', b"{}"),
        (b'{"a":{"b":null,"c":[]}}', b'{"a":{"c":[]}}'),
        (b'[{"a":null}]', b"[{}]"),
        ('"é"'.encode(), rb'"\u00e9"'),
        (b'"/"', rb'"\/"'),
        (b'{"a":{"x":1,"x":2}}', b'{"a":{"x":1.0,"x":2}}'),
    ],
)
def test_values_that_differ_only_in_form_are_identical(one: bytes, other: bytes) -> None:
    assert canonical(one) == canonical(other)
    assert hash(canonical(one)) == hash(canonical(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"1", b"true"),
        (b"0", b"false"),
        (b"1", b'"1"'),
        (b"1", b"1.0000000000000000000000001"),
        (b"1", b"-1"),
        (b"9007199254740993", b"9007199254740992"),
        (b"[null]", b"[]"),
        (b"{}", b"[]"),
        (b"null", b"false"),
        (b'["{"]', b"{}"),
        (b'["#","1","0"]', b"1"),
        (b"[1,2]", b"[2,1]"),
        ('"é"'.encode(), '"e\u0301"'.encode()),
        (b'{"a":1}', b'{"A":1}'),
        (b'{"a":{"x":1,"x":2}}', b'{"a":{"x":2,"x":1}}'),
        (b"1e" + b"9" * 700, b"1e" + b"9" * 699),
    ],
)
def test_values_with_other_content_are_not_identical(one: bytes, other: bytes) -> None:
    assert canonical(one) != canonical(other)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_any_way_to_write_a_value_gives_the_same_value(value: object) -> None:
    spellings = [
        json.dumps(value, ensure_ascii=False).encode(),
        json.dumps(value, indent=1, sort_keys=True).encode(),
        compact(read(json.dumps(value).encode())).encode(),
    ]
    assert json.loads(spellings[2]) == value
    assert len({canonical(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("value", "event_id"),
    [
        (b' {"a":1, "event_id" : "E1"}', "E1"),
        (b'{"event_\\u0069d":"E1"}', "E1"),
        (b'{"event_id":"E1","a":1,"a":2}', "E1"),
        (b'{"event_id":"E1","event_id":"E1"}', None),
        (b'{"event_id":5}', None),
        (b'{"event_id":null}', None),
        (b'{"Event_ID":"E1"}', None),
        (b'{"event_id":"E1"', None),
        (b'["event_id","E1"]', None),
        (b"\xff", None),
        (b"", None),
        (None, None),
    ],
)
def test_an_event_id_is_read_where_the_object_names_it_once(value: bytes | None, event_id: str | None) -> None:
    assert event_id_of(value) == event_id
