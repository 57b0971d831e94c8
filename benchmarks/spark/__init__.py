"""The same job in Spark Structured Streaming with Iceberg; `job.py` runs inside Spark, `beside.py` measures both."""
