"""The contracts, one module for each topic."""
