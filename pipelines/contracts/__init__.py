"""What events and tables look like."""
