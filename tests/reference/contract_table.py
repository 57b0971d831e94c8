"""The seven contracts, copied by hand from docs/rules.md. A test compares the product's contracts with them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an event or of a line of `items`."""

    name: str
    kind: str  # text, enum, integer, money, time, date, boolean, texts, lines
    optional: bool = False
    values: tuple[str, ...] = ()  # of an enum; the values of `currency` are a setting
    least: int | None = None
    most: int | None = None


def _members(text: str) -> tuple[Member, ...]:
    """Parse members from lines such as `rating integer 1..5`, `unit_cost? money 0..`, `status enum active|ended`."""
    found = []
    for line in text.strip().splitlines():
        name, kind, *more = line.split()
        values: tuple[str, ...] = ()
        least = most = None
        if more and ".." in more[0]:
            low, high = more[0].split("..")
            least, most = int(low), int(high) if high else None
        elif more:
            values = tuple(more[0].split("|"))
        found.append(Member(name.rstrip("?"), kind, name.endswith("?"), values, least, most))
    return tuple(found)


KEYS = {
    "pos-transactions": "transaction_id",
    "cinema-sales": "booking_id",
    "inventory-updates": "product_id",
    "customer-reviews": "customer_id",
    "customer-profiles": "customer_id",
    "product-catalog": "product_id",
    "anime-schedule": "title_id",
}
TOPICS = tuple(KEYS)
MASTER = ("customer-profiles", "product-catalog", "anime-schedule")
BUSINESS = TOPICS[:4]
HEAD = _members("event_id text\nevent_time time")

LINE = _members(
    """
    line_number integer 1..
    product_id text
    quantity integer 1..
    unit_price money 0..
    discount_amount? money 0..
    """
)

# In inventory-updates, supplier_id (required for a delivery) and the sign of quantity depend on the type: contract.py.
MEMBERS = {
    "pos-transactions": _members(
        """
        event_type enum sale|return
        transaction_id text
        original_transaction_id? text
        customer_id? text
        channel enum store|online|mobile
        store_id? text
        payment_method text
        currency enum
        items lines
        """
    ),
    "cinema-sales": _members(
        """
        event_type enum booking|cancellation
        booking_id text
        customer_id? text
        screening_id text
        title_id text
        theater_id text
        screening_time time
        ticket_type enum standard|premium|vip|4dx|child|complimentary
        seats_booked integer 1..
        ticket_price money 0..
        concession_amount? money 0..
        channel enum box_office|online|mobile
        payment_method text
        """
    ),
    "inventory-updates": _members(
        """
        event_type enum delivery|adjustment|transfer_in|transfer_out|shrinkage
        update_id text
        product_id text
        warehouse_id text
        quantity integer
        supplier_id? text
        unit_cost? money 0..
        shipment_date? date
        expected_delivery? date
        quality_status? enum approved|pending|rejected
        """
    ),
    "customer-reviews": _members(
        """
        event_type enum review
        review_id text
        customer_id text
        product_id? text
        title_id? text
        rating integer 1..5
        review_text? text
        verified_purchase boolean
        helpful_votes? integer 0..
        """
    ),
    "customer-profiles": _members(
        """
        event_type enum upsert|delete
        customer_id text
        name text
        email text
        signup_date date
        birth_date? date
        city text
        country text
        loyalty_tier enum none|bronze|silver|gold
        preferred_genres texts
        marketing_opt_in boolean
        """
    ),
    "product-catalog": _members(
        """
        event_type enum upsert|delete
        product_id text
        name text
        category text
        title_id? text
        supplier_id text
        list_price money 0..
        unit_cost money 0..
        reorder_point integer 0..
        status enum active|discontinued
        """
    ),
    "anime-schedule": _members(
        """
        event_type enum upsert|delete
        title_id text
        title text
        genres texts
        studio text
        age_rating text
        runtime_minutes integer 0..
        release_date date
        run_start? date
        run_end? date
        status enum announced|showing|ended
        """
    ),
}


def members(topic: str) -> tuple[Member, ...]:
    """Return all members of a topic's events, event_id and event_time first."""
    return HEAD + MEMBERS[topic]
