"""Prints the contract of a topic."""

from animeverse.terminal import console
from pipelines.contracts.documentation import rows
from pipelines.contracts.registry import Contract


def print_contract(contract: Contract, currency: str) -> None:
    """Print the fields of a topic's events as a table on stdout."""
    console.put(
        console.table(
            ("field", "read as", "needed", "allowed", "meaning"),
            [(row.path, row.read_as, row.needed, row.allowed, row.description) for row in rows(contract, currency)],
            title=f"{contract.topic} (key {contract.key_field})",
        )
    )
    console.put()
