"""How many baskets hold a product, and how many hold two: what `marts.product_affinity` divides (R39).

A sale's lines come together, once, and never change, so counts only ever grow: a refresh counts the new baskets alone
and appends what it found to `work.new_product_pairs`. When that has grown to a quarter of `work.product_pairs`, where a
pair has one row, it is folded in. Products go by small numbers there, in whatever order they came; a product with
itself counts the baskets that hold it, 0 with 0 all baskets.

The pairs of a basket grow with the square of its products. A refresh that may lag and would count too many keeps wide
baskets as they are, in `work.wide_baskets`, and leaves them and the folding to one that may not, or to `settle`. The
mart adds all three, so it is exact at any time.
"""

import duckdb

from warehouse.refresh.context import Context

MOST_PAIRS_AT_ONCE = 1_000_000  # pairs of new baskets that are counted even when there is no time
WIDE = 24  # products; wider baskets wait when there are more pairs
MOST_FOLDED_AT_ONCE = 100_000  # pairs that are folded even then
_FOLD_AT = 4  # what was appended is folded in when it is more than this part of the whole

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


def is_behind(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether more waits than a refresh that may lag would do."""
    return _rows(connection, "wide_baskets") > 0 or (
        _is_foldable(connection)
        and _rows(connection, "product_pairs") + _rows(connection, "new_product_pairs") > MOST_FOLDED_AT_ONCE
    )


def keep(context: Context) -> None:
    """Counts the new baskets; does what waits, or says that it lags."""
    if context.rows["staging.fct_sales"]:
        _count(context)
    connection, run = context.connection, context.connection.execute
    if context.may_lag and is_behind(connection):
        context.lagging = True
        return
    if _rows(connection, "wide_baskets"):
        _append(context, _PAIRS.format(lines="work.wide_baskets"))
        run("truncate work.wide_baskets")
    if _is_foldable(connection):
        # sorted, it takes a third of the space
        run(
            "create or replace table work.product_pairs as"
            " select first_number, second_number, sum(basket_count)::bigint as basket_count"
            " from (from work.product_pairs union all from work.new_product_pairs)"
            " group by first_number, second_number order by first_number, second_number"
        )
        run("truncate work.new_product_pairs")


def _is_foldable(connection: duckdb.DuckDBPyConnection) -> bool:
    return _rows(connection, "new_product_pairs") * _FOLD_AT > _rows(connection, "product_pairs")


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
    # A product may lie in several lines of one sale. Numbers are faster than texts; two hashes never meet at one
    # microsecond.
    context.temporary(
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
    if context.may_lag and pairs > MOST_PAIRS_AT_ONCE:
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
    """What a refresh from nothing finds is the whole: nothing is to be folded."""
    table = "product_pairs" if context.is_first else "new_product_pairs"
    context.connection.execute(f"insert into work.{table} {counts}")
