"""`python -m animeverse.warm`: imports what the commands import, so that all of it lies there compiled."""

from animeverse import demo, maintaining, query, running, tracing
from warehouse import clv, proof

__all__ = ["clv", "demo", "maintaining", "proof", "query", "running", "tracing"]
