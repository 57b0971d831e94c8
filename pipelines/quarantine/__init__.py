"""Quarantined records: listing, fixing and releasing them."""
