"""An independent, slow implementation of docs/rules.md in plain Python. Tests compare the pipeline with it."""
