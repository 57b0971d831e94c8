"""The event contracts, one class a topic."""

import dataframely as dy

from pipelines.contracts.fields import (
    FIRST_DATE,
    LAST_DATE,
    _boolean,
    _date,
    _enum,
    _integer,
    _money,
    _text,
    _texts,
    _time,
)


class Event(dy.Schema):
    """What every event of every topic carries."""

    event_id = _text("unique for ever within its topic")
    event_time = _time("when it happened; RFC 3339 with offset, kept in UTC to the microsecond")


class SaleLine(dy.Schema):
    """One line of a transaction's `items`."""

    line_number = _integer("position on the receipt, unique in the event", minimum=1)
    product_id = _text("what was sold")
    quantity = _integer("units; positive in returns, too", minimum=1)
    unit_price = _money("price of one unit before discount")
    discount_amount = _money("taken off the whole line", optional=True)


class PosTransactions(Event):
    """A sale or a return in a store, on the web or on mobile."""

    event_type = _enum("what happened", ("sale", "return"))
    transaction_id = _text("the receipt")
    original_transaction_id = _text("of a return: the sale it takes back, never looked up", optional=True)
    customer_id = _text("absent for a guest", optional=True)
    channel = _enum("where it was sold", ("store", "online", "mobile"))
    store_id = _text("which store", optional=True)
    payment_method = _text("how it was paid")
    currency = dy.String(
        nullable=False, description="the house currency", metadata={"kind": "enum", "values": (), "required_for": ()}
    )
    items = dy.List(
        dy.Struct(SaleLine.columns()),
        nullable=False,
        min_length=1,
        description="the lines",
        metadata={"kind": "lines", "required_for": ()},
    )


class CinemaSales(Event):
    """A booking of seats for one screening, or its cancellation."""

    event_type = _enum("what happened", ("booking", "cancellation"))
    booking_id = _text("the booking")
    customer_id = _text("absent for a guest", optional=True)
    screening_id = _text("the screening")
    title_id = _text("the film")
    theater_id = _text("the hall")
    screening_time = dy.Datetime(
        time_zone="UTC",
        time_unit="us",
        description="when the screening begins",
        metadata={"kind": "time", "years": (FIRST_DATE.year, LAST_DATE.year)},
    )
    ticket_type = _enum("class of ticket", ("standard", "premium", "vip", "4dx", "child", "complimentary"))
    seats_booked = _integer("seats", minimum=1)
    ticket_price = _money("price of one seat")
    concession_amount = _money("popcorn and the like", optional=True)
    channel = _enum("where it was booked", ("box_office", "online", "mobile"))
    payment_method = _text("how it was paid")


class InventoryUpdates(Event):
    """A movement of stock in one warehouse."""

    event_type = _enum("what happened", ("delivery", "adjustment", "transfer_in", "transfer_out", "shrinkage"))
    update_id = _text("the movement")
    product_id = _text("what was moved")
    warehouse_id = _text("where")
    quantity = _integer("units; signed for an adjustment, else positive", minimum=1, signed_for=("adjustment",))
    supplier_id = _text("who delivered", required_for=("delivery",))
    unit_cost = _money("cost of one unit", optional=True)
    shipment_date = _date("when it left", optional=True)
    expected_delivery = _date("when it was due", optional=True)
    quality_status = _enum("result of the inspection", ("approved", "pending", "rejected"), optional=True)


class CustomerReviews(Event):
    """A customer's word on a product or a film."""

    event_type = _enum("what happened", ("review",))
    review_id = _text("the review")
    customer_id = _text("who wrote it")
    product_id = _text("the product reviewed, unless a title is", optional=True)
    title_id = _text("the title reviewed, unless a product is", optional=True)
    rating = _integer("stars", minimum=1, maximum=5)
    review_text = _text("the words", optional=True)
    verified_purchase = _boolean("the reviewer bought it here")
    helpful_votes = _integer("readers it helped", minimum=0, optional=True)


_UPSERT = ("upsert",)


class CustomerProfiles(Event):
    """A customer's master data as of event_time, or the end of it."""

    event_type = _enum("what happened", ("upsert", "delete"))
    customer_id = _text("the customer")
    name = _text("full name", required_for=_UPSERT)
    email = _text("address for mail", required_for=_UPSERT)
    signup_date = _date("first day as a customer", required_for=_UPSERT)
    birth_date = _date("day of birth", optional=True)
    city = _text("home city", required_for=_UPSERT)
    country = _text("home country", required_for=_UPSERT)
    loyalty_tier = _enum("rank", ("none", "bronze", "silver", "gold"), required_for=_UPSERT)
    preferred_genres = _texts("what they like, best first", required_for=_UPSERT)
    marketing_opt_in = _boolean("may be written to", required_for=_UPSERT)


class ProductCatalog(Event):
    """A product's master data as of event_time, or the end of it."""

    event_type = _enum("what happened", ("upsert", "delete"))
    product_id = _text("the product")
    name = _text("what it is called", required_for=_UPSERT)
    category = _text("kind of product", required_for=_UPSERT)
    title_id = _text("the anime it belongs to", optional=True)
    supplier_id = _text("who makes it", required_for=_UPSERT)
    list_price = _money("price before discount", required_for=_UPSERT)
    unit_cost = _money("cost of one unit", required_for=_UPSERT)
    reorder_point = _integer("order again under this stock", minimum=0, required_for=_UPSERT)
    status = _enum("on sale or not", ("active", "discontinued"), required_for=_UPSERT)


class AnimeSchedule(Event):
    """An anime title's master data as of event_time, or the end of it."""

    event_type = _enum("what happened", ("upsert", "delete"))
    title_id = _text("the title")
    title = _text("what it is called", required_for=_UPSERT)
    genres = _texts("its genres, main one first", required_for=_UPSERT)
    studio = _text("who made it", required_for=_UPSERT)
    age_rating = _text("from which age", required_for=_UPSERT)
    runtime_minutes = _integer("length in minutes", minimum=0, required_for=_UPSERT)
    release_date = _date("first day in cinemas", required_for=_UPSERT)
    run_start = _date("first day of our run", optional=True)
    run_end = _date("last day of our run", optional=True)
    status = _enum("where it stands", ("announced", "showing", "ended"), required_for=_UPSERT)
