"""The micro-batch loop: log to bronze to silver to gold."""
