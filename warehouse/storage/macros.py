"""SQL macros that every gold connection defines."""

BEGINNING = "timestamptz '0001-01-01 00:00:00+00'"


# Of an id and an instant: 63 bits of an MD5, which every engine can compute; positive, as -1 and -2 mean something.
KEY_MACROS = (
    "create or replace temp macro version_key(id, valid_from) as greatest("
    "(('0x' || substr(md5(id || '|' || epoch_us(valid_from)), 1, 16))::ubigint & 9223372036854775807)::bigint, 1)",
    f"create or replace temp macro surrogate_key(id) as version_key(id, {BEGINNING})",
)
