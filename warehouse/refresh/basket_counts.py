"""Counts of baskets by product and by pair of products, from which `marts.product_affinity` is computed (R39).

The lines of a sale arrive together, once, and never change, so counts only grow. A refresh counts the new baskets and
appends the counts to `work.new_product_pairs`. When that table reaches a quarter of the size of `work.product_pairs`,
which has one row per pair, the two are merged. Products have small numbers in these tables, in the order of arrival.
A product paired with itself counts the baskets with it; 0 paired with 0 counts all baskets.

The number of pairs grows with the square of the products in a basket. A refresh that may defer work and would have to
count too many pairs stores wide baskets in `work.wide_baskets`. A refresh that may not defer counts them and merges.
The mart adds all three tables, so it is always exact.
"""

import duckdb

from warehouse.refresh.context import Context

MAX_PAIRS_UNDEFERRED = 1_000_000  # pairs of new baskets that any refresh counts at once
WIDE = 24  # products; wider baskets are deferred if there are more pairs
MAX_MERGED_UNDEFERRED = 100_000  # pairs that any refresh merges at once
_MERGE_AT = 4  # merge when the appended counts exceed this fraction, 1 in 4, of the merged ones

_PAIRS = (
    "select one.product_number, other.product_number, count(*) from {lines} as one"
    " join {lines} as other on one.event_time = other.event_time and one.event_hash = other.event_hash"
    " and one.product_number < other.product_number group by all"
)
_WIDE = "(select event_time, event_hash from temp.baskets group by all having count(*) > {most})"


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """The counts, empty."""
    connection.execute("create table work.product_numbers (product_id varchar, product_number integer)")
    for table in ("product_pairs", "new_product_pairs"):
        connection.execute(
            f"create table work.{table} (first_number integer, second_number integer, basket_count bigint)"
        )
    connection.execute(
        "create table work.wide_baskets (event_time timestamptz, event_hash ubigint, product_number integer)"
    )


def has_deferred(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether there is work that a refresh which may defer would leave."""
    return _rows(connection, "wide_baskets") > 0 or (
        _is_mergeable(connection)
        and _rows(connection, "product_pairs") + _rows(connection, "new_product_pairs") > MAX_MERGED_UNDEFERRED
    )


def update(context: Context) -> None:
    """Counts the new baskets, and does or defers the rest of the work."""
    if context.rows["staging.fct_sales"]:
        _count(context)
    connection, run = context.connection, context.connection.execute
    if context.may_defer and has_deferred(connection):
        context.deferred = True
        return
    if _rows(connection, "wide_baskets"):
        _append(context, _PAIRS.format(lines="work.wide_baskets"))
        run("truncate work.wide_baskets")
    if _is_mergeable(connection):
        # sorted, the table takes a third of the space
        run(
            "create or replace table work.product_pairs as"
            " select first_number, second_number, sum(basket_count)::bigint as basket_count"
            " from (from work.product_pairs union all from work.new_product_pairs)"
            " group by first_number, second_number order by first_number, second_number"
        )
        run("truncate work.new_product_pairs")


def _is_mergeable(connection: duckdb.DuckDBPyConnection) -> bool:
    return _rows(connection, "new_product_pairs") * _MERGE_AT > _rows(connection, "product_pairs")


def _rows(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"select count(*) from work.{table}").fetchall()[0][0])


def _count(context: Context) -> None:
    run, is_sale = context.connection.execute, "event_type = 'sale'"
    run(
        "insert into work.product_numbers"
        " select product_id, (select count(*) from work.product_numbers) + row_number() over ()"
        f" from (select distinct product_id from temp.staging_fct_sales where {is_sale})"
        " anti join work.product_numbers using (product_id)"
    )
    # A product may be in several lines of one sale. Hashes, which are faster than texts, do not collide within one
    # microsecond.
    context.create_temp_table(
        "baskets",
        "select distinct event_time, hash(event_id) as event_hash, product_number"
        f" from temp.staging_fct_sales join work.product_numbers using (product_id) where {is_sale}",
    )
    ((count, pairs),) = run(
        "select count(*), coalesce(sum(products * (products - 1) // 2), 0)"
        " from (select count(*) as products from temp.baskets group by event_time, event_hash)"
    ).fetchall()
    _append(
        context,
        f"select 0, 0, {count} where {count} > 0 union all"
        " select product_number, product_number, count(*) from temp.baskets group by product_number",
    )
    if context.may_defer and pairs > MAX_PAIRS_UNDEFERRED:
        wide = _WIDE.format(most=WIDE)
        run(
            "insert into work.wide_baskets by name"
            f" select * from temp.baskets semi join {wide} as wide using (event_time, event_hash)"
        )
        run(
            f"delete from temp.baskets using {wide} as wide"
            " where baskets.event_time = wide.event_time and baskets.event_hash = wide.event_hash"
        )
    _append(context, _PAIRS.format(lines="temp.baskets"))


def _append(context: Context, counts: str) -> None:
    """Appends counts. Those of a first refresh are complete and need no merging."""
    table = "product_pairs" if context.is_first else "new_product_pairs"
    context.connection.execute(f"insert into work.{table} {counts}")
