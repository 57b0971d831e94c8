import pyarrow as pa
import pytest

from pipelines.contracts.registry import CONTRACTS, TOPICS
from pipelines.contracts.tables import (
    LINEAGE,
    bronze_name,
    checkpoint_table,
    lines_schema,
    lines_table,
    required,
    silver_schema,
    silver_tables,
)


def test_a_required_column_has_no_nulls() -> None:
    assert required("n", pa.int64()) == pa.field("n", pa.int64(), nullable=False)


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_has_its_tables_and_the_checkpoint_table_is_committed_last(topic: str) -> None:
    name = topic.replace("-", "_")
    assert (bronze_name(topic), checkpoint_table(topic)) == (f"bronze.{name}", f"silver.{name}")
    assert silver_tables(topic)[-1] == checkpoint_table(topic)
    assert silver_tables(topic)[:-1] == tuple(filter(None, [lines_table(topic)]))


@pytest.mark.parametrize("topic", TOPICS)
def test_the_columns_of_silver_are_the_contracts_fields_without_lines_then_lineage(topic: str) -> None:
    fields = [field.name for field in CONTRACTS[topic].fields if field.kind != "lines"]
    schema = silver_schema(topic)
    assert schema.names == [*fields, *(column.name for column in LINEAGE), "_extra"]
    never_null = {name for name in fields if not schema.field(name).nullable}
    assert never_null == set(CONTRACTS[topic].delete_fields)


def test_the_lines_of_a_sale_have_their_own_table() -> None:
    assert lines_table("pos-transactions") == "silver.pos_items"
    assert lines_schema("pos-transactions").names[:4] == ["event_id", "event_time", "line_number", "product_id"]


def test_a_topic_without_lines_has_no_table_for_them() -> None:
    assert lines_table("cinema-sales") is None
    with pytest.raises(ValueError, match="events of cinema-sales have no lines"):
        lines_schema("cinema-sales")
