"""Logs that speak Kafka's protocol: the only package that uses a Kafka client."""
