"""`python -m animeverse.precompile`: imports what the commands import, so that all of it lies there compiled."""

from animeverse.cli.produce import demo
from animeverse.services import maintain as maintaining
from animeverse.services import query
from animeverse.services import run as running
from animeverse.terminal import trace as tracing
from warehouse import verify as proof
from warehouse.refresh import clv

__all__ = ["clv", "demo", "maintaining", "proof", "query", "running", "tracing"]
