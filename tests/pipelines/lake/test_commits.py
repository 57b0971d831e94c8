import pyarrow as pa
import pytest

from pipelines.errors import StoreUnavailableError
from pipelines.lake.commits import conform, encode, translate_store_errors


def test_rows_get_the_columns_and_types_of_the_table() -> None:
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False), pa.field("b", pa.string())])
    rows = pa.table({"c": ["dropped"], "a": pa.array([1], pa.int32())})
    assert conform(rows, schema) == pa.Table.from_pylist([{"a": 1, "b": None}], schema=schema)


def test_failures_of_the_store_are_raised_with_the_action() -> None:
    with (
        pytest.raises(StoreUnavailableError, match=r"writing table silver\.t failed"),
        translate_store_errors("writing table silver.t"),
    ):
        raise OSError(28, "No space left on device")


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(KeyError), translate_store_errors("reading"):
        raise KeyError("a")


def test_equal_values_are_encoded_as_equal_text() -> None:
    assert encode({"b": 1, "a": [2]}) == encode({"a": [2], "b": 1}) == '{"a":[2],"b":1}'
