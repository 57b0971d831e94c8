"""The contract of `product-catalog`."""

from pipelines.contracts.contract import Event, contract
from pipelines.contracts.fields import UPSERT, enum_field, integer_field, money_field, text_field


class ProductCatalog(Event):
    """A product's master data as of event_time, or the end of it."""

    event_type = enum_field("what happened", ("upsert", "delete"))
    product_id = text_field("the product")
    name = text_field("what it is called", required_for=UPSERT)
    category = text_field("kind of product", required_for=UPSERT)
    title_id = text_field("the anime it belongs to", optional=True)
    supplier_id = text_field("who makes it", required_for=UPSERT)
    list_price = money_field("price before discount", required_for=UPSERT)
    unit_cost = money_field("cost of one unit", required_for=UPSERT)
    reorder_point = integer_field("order again under this stock", minimum=0, required_for=UPSERT)
    status = enum_field("on sale or not", ("active", "discontinued"), required_for=UPSERT)


CONTRACT = contract("product-catalog", "product_id", ProductCatalog, is_master=True)
