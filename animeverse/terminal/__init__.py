"""Terminal output: how results look."""
