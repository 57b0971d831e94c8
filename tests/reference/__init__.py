"""A second, slow reading of rules.md in plain Python, against which the pipeline is tested; they share no code."""
