"""Three topics that the product does not have, each as a contract, models, events and the expected numbers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BEGIN = datetime(2026, 3, 2, 12, tzinfo=UTC)
# The schema and folder of the models that prepare a fact's rows, as the warehouse names them.
STAGING = next(path.parent.name for path in (ROOT / "warehouse").glob("*/fct_review.sql") if path.parent.name != "gold")


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic to add, and what the product must then show of it."""

    topic: str
    key_field: str
    contract: str  # Python source of its module in pipelines/contracts/topics
    models: Mapping[str, str]  # path under warehouse/ -> SQL
    values: Sequence[bytes]  # one accepted event each, except the last two: a duplicate and an invalid record
    query: str  # over gold; one row
    expected: Mapping[str, Any]
    table: str  # the gold table in which `trace` must find the first event
    silver: Mapping[str, int]  # silver table -> rows
    is_master: bool = False

    @property
    def module(self) -> str:
        """Name of the contract's module."""
        return self.topic.replace("-", "_")

    @property
    def accepted(self) -> int:
        """Number of accepted events."""
        return len(self.values) - 2


def _records(events: Sequence[Mapping[str, Any]]) -> tuple[bytes, ...]:
    """Events as records, the first one repeated, and a record that is not JSON."""
    values = [json.dumps(event).encode() for event in events]
    return (*values, values[0], b"{")


def _time(minute: int) -> str:
    return (BEGIN + timedelta(minutes=minute)).isoformat()


GIFT_CARDS = NewTopic(
    topic="gift-cards",
    key_field="card_id",
    contract='''\
"""The contract of `gift-cards`."""

from pipelines.contracts.contract import Event, contract
from pipelines.contracts.fields import enum_field, money_field, text_field


class GiftCards(Event):
    """A gift card that was sold or redeemed."""

    event_type = enum_field("what happened", ("issue", "redemption"))
    card_id = text_field("the card")
    customer_id = text_field("absent for a guest", optional=True)
    amount = money_field("value issued or redeemed")


CONTRACT = contract("gift-cards", "card_id", GiftCards)
''',
    models={
        f"{STAGING}/fct_gift_card.sql": f"""\
-- {STAGING}.fct_gift_card: new gift card events, signed.
-- grain        event_id
-- reads        silver.gift_cards
-- rebuild      never: it exists during one refresh
-- materialize  {STAGING}
select
    event_id,
    event_time,
    event_type,
    card_id,
    customer_id,
    (case when event_type = 'redemption' then -amount else amount end)::decimal(38, 4) as amount,
    _arrival,
    _recorded_at,
from silver.gift_cards
""",
        "gold/fct_gift_card.sql": f"""\
-- gold.fct_gift_card: one row per gift card issued or redeemed; redemptions are negative.
-- grain        event_id
-- reads        {STAGING}.fct_gift_card, gold.dim_customer
-- rebuild      rows are appended; rows of a customer whose versions changed are replaced
-- materialize  fact
-- topic        gift-cards
-- split        date_key
-- member       customer_key: dim_customer by customer_id at event_time
-- column       event_id: the event
-- column       event_time: when it happened
-- column       date_key: UTC day it happened on
-- column       event_type: issue or redemption
-- column       card_id: the card (a degenerate dimension)
-- column       customer_key: the customer's version at event_time; -1 a guest
-- column       customer_id: the customer; null for a guest
-- column       amount: value issued, or redeemed with a minus
with
customers as (
    select customer_key, customer_id, valid_from, effective_to from gold.dim_customer where customer_key > 0
),
keyed as (
    select
        rows.*,
        customers.customer_key,
    from {STAGING}.fct_gift_card as rows
    left join customers
        on rows.customer_id = customers.customer_id
        and rows.event_time >= customers.valid_from
        and (customers.effective_to is null or rows.event_time < customers.effective_to)
)
select
    event_id,
    event_time,
    to_date_key(utc_day(event_time)) as date_key,
    event_type,
    card_id,
    case when customer_id is null then -1 else customer_key end as customer_key,
    customer_id,
    amount,
    _arrival,
    _recorded_at,
from keyed
""",
    },
    values=_records(
        [
            {"event_id": "g1", "event_type": "issue", "event_time": _time(0), "card_id": "G-1", "amount": "50.00"},
            {"event_id": "g2", "event_type": "issue", "event_time": _time(1), "card_id": "G-2", "amount": 25.5,
             "customer_id": "C-1"},
            {"event_id": "g3", "event_type": "redemption", "event_time": _time(2), "card_id": "G-1", "amount": 19.99},
        ]
    ),
    query="select count(*) as events, sum(amount) as outstanding from gold.fct_gift_card",
    expected={"events": 3, "outstanding": 55.51},
    table="gold.fct_gift_card",
    silver={"silver.gift_cards": 3},
)  # fmt: skip

RENTALS = NewTopic(
    topic="rentals",
    key_field="rental_id",
    contract='''\
"""The contract of `rentals`."""

import dataframely as dy

from pipelines.contracts.contract import Event, contract
from pipelines.contracts.fields import enum_field, integer_field, lines_field, money_field, text_field


class RentalLine(dy.Schema):
    """One line of a rental's `copies`."""

    line_number = integer_field("position, unique in the event", minimum=1)
    copy_id = text_field("the rented copy")
    fee = money_field("fee for the copy")


class Rentals(Event):
    """Copies rented by a customer."""

    event_type = enum_field("what happened", ("rental",))
    rental_id = text_field("the rental")
    customer_id = text_field("absent for a guest", optional=True)
    copies = lines_field("the lines", RentalLine, table="rental_copies")


CONTRACT = contract("rentals", "rental_id", Rentals)
''',
    models={
        f"{STAGING}/fct_rental.sql": f"""\
-- {STAGING}.fct_rental: the lines of new rentals.
-- grain        event_id, line_number
-- reads        silver.rental_copies, silver.rentals
-- rebuild      never: it exists during one refresh
-- materialize  {STAGING}
select
    rental_copies.event_id,
    rentals.rental_id,
    rental_copies.line_number,
    rental_copies.event_time,
    rental_copies.copy_id,
    rental_copies.fee,
    rental_copies._arrival,
    rental_copies._recorded_at,
from silver.rental_copies
join silver.rentals using (_partition, _offset)
""",
        "gold/fct_rental.sql": f"""\
-- gold.fct_rental: one row per line of a rental.
-- grain        event_id, line_number
-- reads        {STAGING}.fct_rental
-- rebuild      lines are appended
-- materialize  fact
-- topic        rentals
-- split        date_key
-- column       event_id: the event
-- column       rental_id: the rental (a degenerate dimension)
-- column       line_number: position in the rental
-- column       event_time: when it happened
-- column       date_key: UTC day it happened on
-- column       copy_id: the rented copy
-- column       fee: fee for the copy
select
    event_id,
    rental_id,
    line_number,
    event_time,
    to_date_key(utc_day(event_time)) as date_key,
    copy_id,
    fee,
    _arrival,
    _recorded_at,
from {STAGING}.fct_rental
""",
    },
    values=_records(
        [
            {"event_id": "n1", "event_type": "rental", "event_time": _time(0), "rental_id": "R-1",
             "copies": [{"line_number": 1, "copy_id": "K-1", "fee": 3.5},
                        {"line_number": 2, "copy_id": "K-2", "fee": 4}]},
            {"event_id": "n2", "event_type": "rental", "event_time": _time(1), "rental_id": "R-2", "customer_id": "C-1",
             "copies": [{"line_number": 1, "copy_id": "K-1", "fee": "2.25"}]},
        ]
    ),
    query="select count(*) as lines, count(distinct rental_id) as rentals, sum(fee) as fees from gold.fct_rental",
    expected={"lines": 3, "rentals": 2, "fees": 9.75},
    table="gold.fct_rental",
    silver={"silver.rentals": 2, "silver.rental_copies": 3},
)  # fmt: skip

VOICE_ACTORS = NewTopic(
    topic="voice-actors",
    key_field="actor_id",
    is_master=True,
    contract='''\
"""The contract of `voice-actors`."""

from pipelines.contracts.contract import Event, contract
from pipelines.contracts.fields import enum_field, text_field, texts_field


class VoiceActors(Event):
    """A voice actor's master data as of event_time, or the end of it."""

    event_type = enum_field("what happened", ("upsert", "delete"))
    actor_id = text_field("the actor")
    name = text_field("full name", required_for=("upsert",))
    languages = texts_field("languages, best first", required_for=("upsert",))


CONTRACT = contract("voice-actors", "actor_id", VoiceActors, is_master=True)
''',
    models={
        "gold/dim_voice_actor.sql": """\
-- gold.dim_voice_actor: one row per version of a voice actor (SCD2).
-- grain        actor_id, valid_from
-- reads        silver.voice_actors
-- rebuild      by actor_id: a late change replaces the neighbouring versions
-- materialize  history
-- topic        voice-actors
-- key          actor_key: actor_id
-- tracked      languages
-- column       actor_key: version key, a hash of actor_id and valid_from; -1 unknown, -2 not applicable
-- column       actor_id: the actor
-- column       name: full name
-- column       languages: languages, best first
select
    actor_id,
    event_type,
    event_time,
    _partition,
    _offset,
    _recorded_at,
    name,
    languages,
from silver.voice_actors
""",
    },
    values=_records(
        [
            {"event_id": "v1", "event_type": "upsert", "event_time": _time(0), "actor_id": "A-1", "name": "Aki Ito",
             "languages": ["ja"]},
            {"event_id": "v2", "event_type": "upsert", "event_time": _time(1), "actor_id": "A-1", "name": "Aki Ito",
             "languages": ["ja", "en"]},
            {"event_id": "v3", "event_type": "delete", "event_time": _time(2), "actor_id": "A-1"},
        ]
    ),
    query="select count(*) as versions, bool_or(is_deleted) as is_deleted from gold.dim_voice_actor"
    " where actor_id = 'A-1'",
    expected={"versions": 2, "is_deleted": True},
    table="gold.dim_voice_actor",
    silver={"silver.voice_actors": 3},
)  # fmt: skip

NEW_TOPICS = (GIFT_CARDS, RENTALS, VOICE_ACTORS)
