"""Measured claims: each module prints what it measured, and `--json` prints it for a program."""
