"""BG/NBD and gamma-gamma: published fits, closed forms, determinism, and results for few or unusual data."""

import json
import math
from pathlib import Path

import duckdb
import numpy as np
import pytest

from warehouse.refresh import clv

# CDNOW's 2,357 customers of January-March 1997, how many for each frequency, recency and t, in weeks
_CDNOW = np.array(json.loads((Path(__file__).parent / "cdnow.json").read_text())["rows"], dtype=np.float64)
X, LAST, END, COUNT = _CDNOW[:, 0], _CDNOW[:, 1] / 7, _CDNOW[:, 2] / 7, _CDNOW[:, 3]


def column(*values: float) -> clv.Floats:
    return np.array(values, dtype=np.float64)


def parameters(model: clv.BgNbd) -> tuple[float, float, float, float]:
    return model.r, model.alpha, model.a, model.b


def test_cdnow_gives_the_published_bg_nbd_fit() -> None:
    """Fader, Hardie, Lee (2005), table 2."""
    assert np.sum(COUNT) == 2357
    assert parameters(clv.fit_bg_nbd(X, LAST, END, COUNT)) == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=6e-4)


def test_a_gamma_gamma_fit_finds_the_parameters_its_data_were_drawn_from() -> None:
    """Drawn with the published parameters of CDNOW: p 6.25, q 3.74, v 15.44."""
    random = np.random.default_rng(7)
    x = 1.0 + np.floor(random.exponential(4.0, 60_000))
    scale = random.gamma(3.74, 1 / 15.44, len(x))
    model = clv.fit_gamma_gamma(x, random.gamma(6.25 * x, 1 / scale) / x)
    assert (model.p, model.q, model.v) == pytest.approx((6.25, 3.74, 15.44), rel=0.04)


def test_the_unit_of_time_changes_only_alpha() -> None:
    weeks, days = clv.fit_bg_nbd(X, LAST, END, COUNT), clv.fit_bg_nbd(X, LAST * 7, END * 7, COUNT)
    assert parameters(days) == pytest.approx((weeks.r, weeks.alpha * 7, weeks.a, weeks.b))


def test_counted_rows_give_the_same_fit_as_repeated_rows() -> None:
    listed = [np.repeat(values, COUNT.astype(int)) for values in (X, LAST, END)]
    counted = parameters(clv.fit_bg_nbd(X, LAST, END, COUNT))
    assert counted == pytest.approx(parameters(clv.fit_bg_nbd(*listed)), rel=1e-5)


def test_the_example_customer_of_the_paper_is_expected_to_buy_1_226_times() -> None:
    """Fader, Hardie, Lee, note on the implementation in Excel: x 2, t_x 30.43, T 38.86, the next 39 weeks."""
    model = clv.BgNbd(0.243, 4.414, 0.793, 2.426)
    expected = model.expected_purchases(column(2), column(30.43), column(38.86), 39)
    assert expected[0] == pytest.approx(1.226, abs=5e-4)


@pytest.mark.parametrize("horizon", [1.0, 52.0, 365.0])
def test_the_expectation_equals_the_published_hypergeometric_formula(horizon: float) -> None:
    from scipy.special import hyp2f1

    model = clv.BgNbd(0.243, 4.414, 0.793, 2.426)
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    x, last, end = column(0, 1, 2, 7, 20), column(0, 3, 30.43, 38, 20), column(38.86, 30, 38.86, 39, 25)
    series = hyp2f1(r + x, b + x, a + b + x - 1, horizon / (alpha + end + horizon))
    bought = (a + b + x - 1) / (a - 1) * (1 - ((alpha + end) / (alpha + end + horizon)) ** (r + x) * series)
    odds = (x > 0) * a / (b + np.maximum(x, 1) - 1) * ((alpha + end) / (alpha + last)) ** (r + x)
    assert model.expected_purchases(x, last, end, horizon) == pytest.approx(bought / (1 + odds), rel=1e-9)
    assert model.probability_alive(x, last, end) == pytest.approx(1 / (1 + odds))


def test_predictions_are_finite_where_the_published_formula_is_not() -> None:
    """The published formula is 0/0 at a = 1 and overflows for a thousand purchases."""
    x, last, end = column(0, 1, 1000), column(0, 1, 1000), column(0, 400, 1000)
    for a, b in ((1.0, 1.0), (0.5, 0.5), (6e-6, 1.0), (2900.0, 2900.0)):
        for r, alpha in ((1e-5, 1e-3), (0.3, 30.0), (2900.0, 9e4)):
            model = clv.BgNbd(r, alpha, a, b)
            values = model.expected_purchases(x, last, end, 365.0)
            assert np.all(np.isfinite(values)) and np.all(values >= 0), model


def test_a_customer_without_repeat_purchases_has_the_mean_value_of_all() -> None:
    model = clv.GammaGamma(6.25, 3.74, 15.44)
    value = model.expected_value(column(0, 2, 4000), column(0, 22.35, 50))
    assert value[0] == pytest.approx(6.25 * 15.44 / 2.74)
    assert min(22.35, value[0]) < value[1] < max(22.35, value[0])
    assert value[2] == pytest.approx(50, rel=1e-3)


def warehouse_with(customers: list[tuple[str, int, int, int, float]]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        "create temp table totals_customers"
        " (customer_id varchar, frequency int, recency int, t int, monetary_value double)"
    )
    if customers:
        connection.executemany("insert into temp.totals_customers values (?, ?, ?, ?, ?)", customers)
    return connection


def crowd(repeaters: int, singles: int = 20, money: float = 10.0) -> list[tuple[str, int, int, int, float]]:
    came_back = [(f"R{i:03}", 1 + i % 5, 10 + i % 30, 60 + i % 7, money * (1 + i % 3)) for i in range(repeaters)]
    return [*came_back, *((f"S{i:03}", 0, 0, 5 * i, 0.0) for i in range(singles))]


def predictions(connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    clv.fit(connection)
    return connection.execute("from work.clv_predictions order by customer_id").fetchall()


def test_with_fewer_than_thirty_repeat_customers_predictions_are_null() -> None:
    rows = predictions(warehouse_with(crowd(29)))
    assert len(rows) == 49
    assert all(row[1:] == (None, None, None) for row in rows)


def test_thirty_repeat_customers_are_enough() -> None:
    rows = predictions(warehouse_with(crowd(30)))
    assert all(isinstance(value, float) and math.isfinite(value) for row in rows for value in row[1:])
    assert all(0 <= float(str(row[1])) <= 1 for row in rows)


def test_repeat_customers_without_money_have_predicted_purchases_and_no_value() -> None:
    rows = predictions(warehouse_with(crowd(40, money=0.0)))
    assert all(row[2] is not None and row[3] is None for row in rows)


def test_a_fit_without_customers_gives_no_rows() -> None:
    assert predictions(warehouse_with([])) == []


def test_the_order_of_rows_does_not_change_predictions() -> None:
    rows = crowd(60)
    assert predictions(warehouse_with(rows)) == predictions(warehouse_with(rows[::-1]))


def test_a_second_fit_replaces_the_first() -> None:
    connection = warehouse_with(crowd(40))
    first = predictions(connection)
    assert predictions(connection) == first


def test_a_fit_of_identical_customers_succeeds() -> None:
    rows = predictions(warehouse_with([(f"C{i}", 3, 30, 30, 20.0) for i in range(50)]))
    assert all(isinstance(value, float) and math.isfinite(value) for row in rows for value in row[1:])
