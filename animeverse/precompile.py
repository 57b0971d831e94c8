"""`python -m animeverse.precompile` imports what the commands import, so that Python caches the bytecode."""

from animeverse.services import demo, maintain, query
from animeverse.terminal import trace
from warehouse import verify
from warehouse.refresh import clv

__all__ = ["clv", "demo", "maintain", "query", "trace", "verify"]
