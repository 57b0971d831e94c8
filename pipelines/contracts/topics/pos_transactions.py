"""The contract of `pos-transactions`."""

import dataframely as dy

from pipelines.contracts.contract import Event, contract
from pipelines.contracts.fields import enum_field, integer_field, lines_field, money_field, text_field


class SaleLine(dy.Schema):
    """One line of a transaction's `items`."""

    line_number = integer_field("position on the receipt, unique in the event", minimum=1)
    product_id = text_field("what was sold")
    quantity = integer_field("units; positive in returns, too", minimum=1)
    unit_price = money_field("price of one unit before discount")
    discount_amount = money_field("taken off the whole line", optional=True)


class PosTransactions(Event):
    """A sale or a return in a store, on the web or on mobile."""

    event_type = enum_field("what happened", ("sale", "return"))
    transaction_id = text_field("the receipt")
    original_transaction_id = text_field("of a return: the sale it takes back, never looked up", optional=True)
    customer_id = text_field("absent for a guest", optional=True)
    channel = enum_field("where it was sold", ("store", "online", "mobile"))
    store_id = text_field("which store", optional=True)
    payment_method = text_field("how it was paid")
    currency = enum_field("the house currency", ())
    items = lines_field("the lines", SaleLine, table="pos_items")


CONTRACT = contract("pos-transactions", "transaction_id", PosTransactions)
