"""The same job in Spark Structured Streaming with Iceberg; `job.py` runs inside Spark, `compare.py` measures both."""
