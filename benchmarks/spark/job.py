"""The Spark job: topic -> bronze -> silver -> fct_sales and a daily summary, all in Iceberg.

It is tuned for one machine; about twenty settings were tried (README.md in this folder). Two queries run at the same
time. One writes the raw topic to bronze. The other types the records, applies a watermark of 48 h and
`dropDuplicatesWithinWatermark`, and writes silver and gold in a `foreachBatch`. Prints one line of JSON when all
records that were in the topic at the start are in gold.

It does less than the product: no contract, no quarantine, no conflicting copies, no late or too-late verdict beyond
the watermark, no dimensions.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the customary name
from pyspark.sql import types as T  # noqa: N812

TOPIC = "pos-transactions"
MONEY = T.DecimalType(18, 4)
LINE = T.StructType(
    [
        T.StructField("line_number", T.LongType()),
        T.StructField("product_id", T.StringType()),
        T.StructField("quantity", T.LongType()),
        T.StructField("unit_price", MONEY),
        T.StructField("discount_amount", MONEY),
    ]
)
_TEXTS = (
    "event_id", "event_type", "transaction_id", "original_transaction_id", "customer_id", "channel", "store_id",
    "payment_method", "currency",
)  # fmt: skip
SALE = T.StructType(
    [
        *(T.StructField(name, T.StringType()) for name in _TEXTS),
        T.StructField("event_time", T.TimestampType()),
        T.StructField("items", T.ArrayType(LINE)),
    ]
)


def session(jars: str, warehouse: str, heap: str) -> SparkSession:
    """Return a local Spark session on all cores."""
    cores = os.cpu_count() or 2
    properties = {
        "spark.jars": ",".join(str(jar) for jar in sorted(Path(jars).glob("*.jar"))),
        "spark.driver.memory": heap,
        "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": str(cores),
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.inMemoryColumnarStorage.compressed": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.lake.type": "hadoop",
        "spark.sql.catalog.lake.warehouse": warehouse,
        "spark.sql.catalog.lake.cache-enabled": "true",
        "spark.sql.streaming.metricsEnabled": "false",
    }
    builder = SparkSession.builder.master(f"local[{cores}]").appName("animeverse-beside")
    for name, value in properties.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


_PROPERTIES = (
    "'write.format.default'='parquet', 'write.parquet.compression-codec'='snappy', "
    "'write.parquet.dict-size-bytes'='65536', 'write.metadata.metrics.default'='counts', "
    "'write.distribution-mode'='none', 'write.spark.fanout.enabled'='true', 'format-version'='2'"
)


def make_tables(spark: SparkSession, lake: str) -> None:
    """Create bronze by day of ingestion, silver and gold by day of event_time. `lake` is the prefix of each name."""
    texts = ", ".join(f"{name} string" for name in _TEXTS)
    line = "line_number bigint, product_id string, quantity bigint"
    line += ", unit_price decimal(18,4), discount_amount decimal(18,4)"
    record = "partition int, offset bigint, timestamp timestamp, key binary, value binary"
    tables = {
        "bronze.pos": f"{record}, ingested_at timestamp",
        "silver.pos": f"{texts}, event_time timestamp",
        "silver.pos_items": f"event_id string, event_time timestamp, {line}",
        "gold.fct_sales": f"event_id string, event_type string, event_time timestamp, customer_id string, {line}, "
        "net_sales_amount decimal(38,4)",
    }
    for name, columns in tables.items():
        day = "ingested_at" if name.startswith("bronze") else "event_time"
        spark.sql(
            f"create table if not exists {lake}{name} ({columns}) using iceberg partitioned by (days({day}))"
            f" tblproperties ({_PROPERTIES})"
        )
    spark.sql(
        f"create table if not exists {lake}gold.daily_changes"
        " (date date, net_sales_amount decimal(38,4), orders bigint)"
        f" using iceberg tblproperties ({_PROPERTIES})"
    )


def source(spark: SparkSession, servers: str, topic: str) -> DataFrame:
    """Read the topic from its beginning, without a limit per trigger."""
    options = {
        "kafka.bootstrap.servers": servers,
        "subscribe": topic,
        "startingOffsets": "earliest",
        "failOnDataLoss": "true",
    }
    return spark.readStream.format("kafka").options(**options).load()


def to_silver_and_gold(batch: DataFrame, _number: int, *, lake: str) -> None:
    """Write the batch's tables in parallel; the batch is computed once."""
    batch.persist()
    lines = batch.select(
        "event_id", "event_type", "event_time", "customer_id", F.explode("items").alias("line")
    ).select("event_id", "event_type", "event_time", "customer_id", "line.*")
    sign = F.when(F.col("event_type") == "return", F.lit(-1)).otherwise(F.lit(1))
    discount = F.coalesce("discount_amount", F.lit(0).cast(MONEY))
    facts = lines.withColumn(
        "net_sales_amount", (sign * (F.col("quantity") * F.col("unit_price") - discount)).cast("decimal(38,4)")
    )
    days = facts.groupBy(F.to_date("event_time").alias("date")).agg(
        F.sum("net_sales_amount").cast("decimal(38,4)").alias("net_sales_amount"),
        F.countDistinct("event_id").alias("orders"),
    )
    items = lines.drop("event_type", "customer_id")
    writes = {
        "silver.pos": batch.drop("items"),
        "silver.pos_items": items,
        "gold.fct_sales": facts,
        "gold.daily_changes": days,
    }
    with ThreadPoolExecutor(len(writes)) as threads:
        for done in [threads.submit(frame.writeTo(f"{lake}{name}").append) for name, frame in writes.items()]:
            done.result()
    batch.unpersist()


def work(spark: SparkSession, servers: str, topic: str, folder: str, lake: str) -> float:
    """Process the topic and return the seconds until all its records are in gold."""
    spark.conf.set(
        "spark.sql.streaming.stateStore.providerClass",
        "org.apache.spark.sql.execution.streaming.state.HDFSBackedStateStoreProvider",
    )
    began = time.perf_counter()
    raw = source(spark, servers, topic).select("partition", "offset", "timestamp", "key", "value")
    bronze = (
        raw.withColumn("ingested_at", F.current_timestamp())
        .writeStream.format("iceberg")
        .option("checkpointLocation", f"{folder}/checkpoints/bronze-{topic}")
        .option("fanout-enabled", "true")
        .trigger(availableNow=True)
        .toTable(f"{lake}bronze.pos")
    )
    typed = (
        source(spark, servers, topic)
        .select(F.from_json(F.col("value").cast("string"), SALE).alias("sale"))
        .select("sale.*")
        .withWatermark("event_time", "48 hours")
        .dropDuplicatesWithinWatermark(["event_id"])
    )
    gold = (
        typed.writeStream.foreachBatch(partial(to_silver_and_gold, lake=lake))
        .option("checkpointLocation", f"{folder}/checkpoints/gold-{topic}")
        .trigger(availableNow=True)
        .start()
    )
    for query in (gold, bronze):
        query.awaitTermination()
    return time.perf_counter() - began


def found(spark: SparkSession) -> dict[str, object]:
    """Return counts and sums of the tables, to compare with the corpus."""
    facts = spark.table("lake.gold.fct_sales").agg(
        F.count("*"), F.countDistinct("event_id"), F.sum("net_sales_amount")
    ).first()  # fmt: skip
    return {
        "bronze": spark.table("lake.bronze.pos").count(),
        "events": facts[1],
        "silver": spark.table("lake.silver.pos").count(),
        "lines": facts[0],
        "net_sales": str(facts[2]),
        "net_sales_by_day": str(spark.table("lake.gold.daily_changes").agg(F.sum("net_sales_amount")).first()[0]),
    }


def main(servers: str, topic: str, warm_up: str, folder: str, heap: str) -> None:
    spark = session(os.environ["SPARK_JARS"], f"{folder}/lake", heap)
    spark.sparkContext.setLogLevel("ERROR")
    took = 0.0
    for source_topic, lake in ((warm_up, "lake.warm_"), (topic, "lake.")):  # warm up with the same code
        if source_topic:
            make_tables(spark, lake)
            took = work(spark, servers, source_topic, folder, lake)
    print(json.dumps({"seconds": took, "gold_at": time.time()} | found(spark)), flush=True)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
