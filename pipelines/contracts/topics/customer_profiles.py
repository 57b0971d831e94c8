"""The contract of `customer-profiles`."""

from pipelines.contracts.contract import Event, contract
from pipelines.contracts.fields import UPSERT, boolean_field, date_field, enum_field, text_field, texts_field


class CustomerProfiles(Event):
    """A customer's master data as of event_time, or the end of it."""

    event_type = enum_field("what happened", ("upsert", "delete"))
    customer_id = text_field("the customer")
    name = text_field("full name", required_for=UPSERT)
    email = text_field("address for mail", required_for=UPSERT)
    signup_date = date_field("first day as a customer", required_for=UPSERT)
    birth_date = date_field("day of birth", optional=True)
    city = text_field("home city", required_for=UPSERT)
    country = text_field("home country", required_for=UPSERT)
    loyalty_tier = enum_field("rank", ("none", "bronze", "silver", "gold"), required_for=UPSERT)
    preferred_genres = texts_field("what they like, best first", required_for=UPSERT)
    marketing_opt_in = boolean_field("may be written to", required_for=UPSERT)


CONTRACT = contract("customer-profiles", "customer_id", CustomerProfiles, is_master=True)
