"""The contract of `inventory-updates`."""

from pipelines.contracts.contract import Event, contract
from pipelines.contracts.fields import date_field, enum_field, integer_field, money_field, text_field


class InventoryUpdates(Event):
    """A movement of stock in one warehouse."""

    event_type = enum_field("what happened", ("delivery", "adjustment", "transfer_in", "transfer_out", "shrinkage"))
    update_id = text_field("the movement")
    product_id = text_field("what was moved")
    warehouse_id = text_field("where")
    quantity = integer_field("units; signed for an adjustment, else positive", minimum=1, signed_for=("adjustment",))
    supplier_id = text_field("who delivered", required_for=("delivery",))
    unit_cost = money_field("cost of one unit", optional=True)
    shipment_date = date_field("when it left", optional=True)
    expected_delivery = date_field("when it was due", optional=True)
    quality_status = enum_field("result of the inspection", ("approved", "pending", "rejected"), optional=True)


CONTRACT = contract("inventory-updates", "product_id", InventoryUpdates)
