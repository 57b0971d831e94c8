"""The contract of `cinema-sales`."""

from pipelines.contracts.contract import Event, contract
from pipelines.contracts.fields import (
    FIRST_DATE,
    LAST_DATE,
    enum_field,
    integer_field,
    money_field,
    text_field,
    time_field,
)


class CinemaSales(Event):
    """A booking of seats for one screening, or its cancellation."""

    event_type = enum_field("what happened", ("booking", "cancellation"))
    booking_id = text_field("the booking")
    customer_id = text_field("absent for a guest", optional=True)
    screening_id = text_field("the screening")
    title_id = text_field("the film")
    theater_id = text_field("the hall")
    screening_time = time_field("when the screening begins", years=(FIRST_DATE.year, LAST_DATE.year))
    ticket_type = enum_field("class of ticket", ("standard", "premium", "vip", "4dx", "child", "complimentary"))
    seats_booked = integer_field("seats", minimum=1)
    ticket_price = money_field("price of one seat")
    concession_amount = money_field("popcorn and the like", optional=True)
    channel = enum_field("where it was booked", ("box_office", "online", "mobile"))
    payment_method = text_field("how it was paid")


CONTRACT = contract("cinema-sales", "booking_id", CinemaSales)
