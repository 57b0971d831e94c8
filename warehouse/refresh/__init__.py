"""One refresh of gold: facts, dimensions and aggregates."""
