"""Gold's files: connection, closed days, publication."""
