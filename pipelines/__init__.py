"""Log to bronze to silver: bronze keeps every record as it came, silver has one row for each accepted event."""
