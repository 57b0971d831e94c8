"""How contracts and the state of the lakehouse look in a terminal."""

from animeverse import console
from pipelines.contract_docs import rows
from pipelines.contracts import Contract


def print_contract(contract: Contract, currency: str) -> None:
    """The fields of a topic's events as a table on stdout."""
    console.put(
        console.table(
            ("field", "read as", "needed", "allowed", "meaning"),
            [(row.path, row.read_as, row.needed, row.allowed, row.description) for row in rows(contract, currency)],
            title=f"{contract.topic} (key {contract.key_field})",
        )
    )
    console.put()
