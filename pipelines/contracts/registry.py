"""All contracts. Parsers, producers, tables, settings, documentation and JSON Schemas derive from them.

A new topic needs a module in `topics/` and its entry here.
"""

from collections.abc import Mapping

from pipelines.contracts.contract import Contract
from pipelines.contracts.topics import (
    anime_schedule,
    cinema_sales,
    customer_profiles,
    customer_reviews,
    inventory_updates,
    pos_transactions,
    product_catalog,
)

__all__ = ["BUSINESS_TOPICS", "CONTRACTS", "TOPICS", "VERSION", "Contract"]

VERSION = 1  # increases with every change of a contract; silver's table properties record its first batch

CONTRACTS: Mapping[str, Contract] = {
    contract.topic: contract
    for contract in (
        pos_transactions.CONTRACT,
        cinema_sales.CONTRACT,
        inventory_updates.CONTRACT,
        customer_reviews.CONTRACT,
        customer_profiles.CONTRACT,
        product_catalog.CONTRACT,
        anime_schedule.CONTRACT,
    )
}

TOPICS: tuple[str, ...] = tuple(CONTRACTS)
BUSINESS_TOPICS: tuple[str, ...] = tuple(topic for topic, contract in CONTRACTS.items() if not contract.is_master)
