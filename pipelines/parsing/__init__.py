"""From record bytes to typed events: the fast path and the exact path."""
