"""Use cases shared by commands and flows."""
