"""The log: topics, partitions, offsets; Kafka's protocol or one SQLite file behind the same small interface."""
