"""Limits of landing files, checked before a value is built. Source: R28."""

# Kafka's default for a record (message.max.bytes of a broker is 1,048,588). A quarantined line is released to the log,
# so no line, cell or row may be larger than a record that every log accepts.
MAX_RECORD_BYTES = 1 << 20

# A compressed file may expand to UNPACKED_FREE bytes, beyond them to MAX_RATIO times its size and MAX_UNPACKED_BYTES.
# JSON lines compress to a twentieth; deflate cannot exceed a ratio of 1,032.
UNPACKED_FREE = 64 << 20
MAX_RATIO = 200
MAX_UNPACKED_BYTES = 16 << 30

# Parquet: bytes of one row group, uncompressed; and the JSON text of all rows. Column names repeat in each row, so the
# text of an honest file may be some hundred times its size.
MAX_ROW_GROUP_BYTES = 1 << 30
PARQUET_TEXT_FREE = 1 << 30
MAX_PARQUET_TEXT_RATIO = 2_000

# Memory for the rows of a Parquet file that are decoded at a time.
DECODED_BYTES = 64 << 20
