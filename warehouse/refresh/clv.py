"""Customer lifetime value: BG/NBD and gamma-gamma models, fitted by maximum likelihood.

BG/NBD (Fader, Hardie, Lee 2005, "Counting your customers" the easy way): an active customer buys at a rate drawn from
Gamma(r, alpha) and after each repeat purchase drops out with a probability drawn from Beta(a, b). Gamma-gamma (Fader,
Hardie 2013): the value of a customer's purchases varies around a mean drawn for the customer, independent of frequency.

Both fits are pure functions of their input: rows are sorted, starting points are fixed, and there are no random numbers
and no threads. On CDNOW's published sample they give r 0.243, alpha 4.414, a 0.793, b 2.426 and p 6.25, q 3.74,
v 15.44. All times must have one unit; `fit` uses days. scipy is imported by the first fit.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Floats = npt.NDArray[np.float64]
Objective = Callable[[Floats], tuple[float, Floats]]

HORIZON_DAYS = 365.0
LEAST_REPEATERS = 30  # R39: with fewer, predictions are null
QUADRATURE_NODES = 64
SEARCH = {"gtol": 1e-7, "maxiter": 200}
LOG_BOUND = 10.0  # parameters stay between e^-10 and e^10 in units near 1


@dataclass(frozen=True, slots=True)
class BgNbd:
    """A fitted BG/NBD model. `alpha` has the unit of the times that it was fitted to."""

    r: float
    alpha: float
    a: float
    b: float

    def probability_alive(self, frequency: Floats, recency: Floats, t: Floats) -> Floats:
        """Probability that a customer is active at `t`. The model gives 1 for a customer without a repeat purchase."""
        from scipy.special import expit

        odds = (
            np.log(self.a)
            - np.log(np.where(frequency > 0, self.b + frequency - 1, 1.0))
            + (self.r + frequency) * (np.log(self.alpha + t) - np.log(self.alpha + recency))
        )
        return np.where(frequency > 0, expit(-odds), 1.0)

    def expected_purchases(self, frequency: Floats, recency: Floats, t: Floats, horizon: float) -> Floats:
        """Expected number of purchase days in the `horizon` after `t`, given the customer's past.

        It is P(alive) times the mean, over the dropout probability p ~ Beta(a, b + x), of
        (1 - (1 + p h / (alpha + t))^-(r + x)) / p.
        The integral is computed by Gauss-Jacobi quadrature. The published formula with 2F1 is equal, but overflows for
        frequent customers and is 0/0 at a = 1.
        """
        alive = self.probability_alive(frequency, recency, t)
        result = np.zeros(len(frequency))
        for x in np.unique(frequency):
            rows = np.flatnonzero(frequency == x)
            p, weight = _beta_quadrature(self.a, self.b + float(x))
            grown = np.log1p(p * (horizon / (self.alpha + t[rows]))[:, None])
            result[rows] = np.sum(-np.expm1(-(self.r + x) * grown) / p * weight, axis=1)
        return alive * result


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """A fitted gamma-gamma model. `v` has the unit of the money that it was fitted to."""

    p: float
    q: float
    v: float

    def expected_value(self, frequency: Floats, monetary: Floats) -> Floats:
        """Expected money of a future purchase day: between the mean of all customers and the customer's own mean."""
        earned = frequency * np.maximum(monetary, 0.0)
        return self.p * (self.v + earned) / (self.p * frequency + self.q - 1.0)


def create(connection: "DuckDBPyConnection") -> None:
    """`work.clv_predictions`, empty."""
    connection.execute(
        "create table work.clv_predictions (customer_id varchar, probability_alive double, predicted_purchases double,"
        " predicted_average_value double)"
    )


def import_early() -> None:
    """Imports scipy in a thread, beside other work. The import takes a third of a second."""
    threading.Thread(target=_imports, name="scipy").start()


def _imports() -> None:
    import scipy.linalg
    import scipy.optimize
    import scipy.special  # noqa: F401


def fit(connection: "DuckDBPyConnection") -> None:
    """Fills `work.clv_predictions` with one row per customer of `totals.customers`.

    Predictions are for the 365 days after the last ended day. They are null with fewer than 30 repeat customers; the
    value of a day needs 30 repeat customers with money. Money is read as double, because predictions are estimates.
    """
    table = connection.sql(
        "select customer_id, frequency::double as frequency, recency::double as recency, t::double as t,"
        " monetary_value::double as monetary_value"
        " from temp.totals_customers order by customer_id"
    ).to_arrow_table()
    frequency, recency, t, monetary = (
        table.column(name).to_numpy() for name in ("frequency", "recency", "t", "monetary_value")
    )
    empty = np.full(len(frequency), np.nan)
    alive, purchases, value = empty, empty, empty
    if np.sum(frequency > 0) >= LEAST_REPEATERS:
        rows, customer_row, count = np.unique(
            np.column_stack((frequency, recency, t)), axis=0, return_inverse=True, return_counts=True
        )
        customer_row = customer_row.reshape(-1)
        x, last, end = rows.T  # customers with the same past have the same predictions
        model = fit_bg_nbd(x, last, end, count.astype(np.float64))
        alive = model.probability_alive(x, last, end)[customer_row]
        purchases = model.expected_purchases(x, last, end, HORIZON_DAYS)[customer_row]
    paying = (frequency > 0) & (monetary > 0)
    if np.sum(paying) >= LEAST_REPEATERS:
        value = fit_gamma_gamma(frequency[paying], monetary[paying]).expected_value(frequency, monetary)
    predictions = pa.table(
        {
            "customer_id": table.column("customer_id"),
            "probability_alive": pa.array(alive, from_pandas=True),  # from_pandas: NaN is null
            "predicted_purchases": pa.array(purchases, from_pandas=True),
            "predicted_average_value": pa.array(value, from_pandas=True),
        }
    )
    connection.register("clv_predictions_of_this_fit", predictions)
    connection.execute("create schema if not exists work")
    connection.execute("create or replace table work.clv_predictions as from clv_predictions_of_this_fit")
    connection.unregister("clv_predictions_of_this_fit")


def fit_bg_nbd(frequency: Floats, recency: Floats, t: Floats, count: Floats | None = None) -> BgNbd:
    """The BG/NBD model of maximum likelihood. `count` is the number of customers of each row (default 1)."""
    from scipy.special import betaln, digamma, gammaln

    weight = np.ones(len(frequency)) if count is None else count
    share = weight / np.sum(weight)
    unit = max(float(np.sum(share * t)), 1e-9)  # times near 1 bring the four parameters to one scale
    last, end = recency / unit, t / unit
    repeat = frequency > 0
    values, value_of_row = np.unique(frequency, return_inverse=True)

    def loss(theta: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = np.exp(theta)
        n = r + frequency
        # terms that depend on the frequency only are computed once per frequency
        gamma_part = gammaln(r + values) - gammaln(r) + betaln(a, b + values) - betaln(a, b)
        log_end, log_last = np.log(alpha + end), np.log(alpha + last)
        survived = -n * log_end
        before = np.where(repeat, b + frequency - 1, 1.0)
        dropped = np.where(repeat, np.log(a) - np.log(before) - n * log_last, -np.inf)
        either = np.logaddexp(survived, dropped)
        gone = np.exp(dropped - either)
        likelihood = gamma_part[value_of_row] + r * np.log(alpha) + either
        stayed = 1.0 - gone
        both = digamma(a + b) - digamma(a + b + values)
        slope = (
            r * ((digamma(r + values) - digamma(r))[value_of_row] + np.log(alpha) - stayed * log_end - gone * log_last),
            r - alpha * n * (stayed / (alpha + end) + gone / (alpha + last)),
            a * both[value_of_row] + gone,
            b * ((both + digamma(b + values) - digamma(b))[value_of_row] - gone / before),
        )
        return -float(np.sum(share * likelihood)), -np.array([np.sum(share * part) for part in slope])

    starts = ((1.0, 1.0, 1.0, 1.0), (0.25, 0.1, 0.5, 2.0), (3.0, 1.0, 0.1, 1.0))
    r, alpha, a, b = np.exp(_minimize(loss, starts))
    return BgNbd(float(r), float(alpha) * unit, float(a), float(b))


def fit_gamma_gamma(frequency: Floats, monetary: Floats) -> GammaGamma:
    """The gamma-gamma model of maximum likelihood, of customers with frequency > 0 and monetary > 0.

    q stays above 1, because at 1 the mean of all customers is infinite.
    """
    from scipy.special import digamma, gammaln

    unit = float(np.median(monetary))
    spent = monetary / unit
    log_m, total = np.log(spent), frequency * spent
    values, value_of_row, count = np.unique(frequency, return_inverse=True, return_counts=True)
    share = count / len(frequency)
    log_each = np.log(values) + np.bincount(value_of_row, log_m) / count  # means over the customers of a frequency
    mean_log_m = float(np.mean(log_m))

    def loss(theta: Floats) -> tuple[float, Floats]:
        p, over, v = np.exp(theta)
        q = 1.0 + over
        shape = p * values
        sum_log = np.bincount(value_of_row, np.log(total + v)) / count
        likelihood = np.sum(
            share * (gammaln(shape + q) - gammaln(shape) + shape * log_each - (shape + q) * sum_log)
        ) + q * np.log(v) - gammaln(q) - mean_log_m  # fmt: skip
        joint = digamma(shape + q)
        gone = np.bincount(value_of_row, 1.0 / (total + v)) / count
        slope = (
            np.sum(share * shape * (joint - digamma(shape) + log_each - sum_log)),
            over * np.sum(share * (joint - digamma(q) + np.log(v) - sum_log)),
            q - v * np.sum(share * (shape + q) * gone),
        )
        return -float(likelihood), -np.array(slope)

    p, over, v = np.exp(_minimize(loss, ((1.0, 1.0, 1.0), (5.0, 3.0, 0.5))))
    return GammaGamma(float(p), 1.0 + float(over), float(v) * unit)


def _minimize(loss: Objective, starts: tuple[tuple[float, ...], ...]) -> Floats:
    """Logarithms of the best parameters found, within -10..10. Without dropout in the data there is no maximum.

    The bound is smooth, so BFGS suffices. L-BFGS-B runs its linear algebra on several threads.
    """
    from scipy.optimize import minimize

    def bounded(free: Floats) -> tuple[float, Floats]:
        scaled = np.tanh(free / LOG_BOUND)
        value, slope = loss(LOG_BOUND * scaled)
        return value, slope * (1.0 - scaled * scaled)

    best: Floats = np.log(np.array(starts[0]))
    lowest = np.inf
    for start in starts:
        found = minimize(bounded, np.log(np.array(start)), jac=True, method="BFGS", options=SEARCH)
        if found.fun < lowest:
            best = LOG_BOUND * np.tanh(np.asarray(found.x, dtype=np.float64) / LOG_BOUND)
            lowest = float(found.fun)
        if found.success:  # there is one maximum; the other starts are for a search that failed
            break
    return best


def _beta_quadrature(a: float, b: float) -> tuple[Floats, Floats]:
    """Nodes in (0, 1) and weights (sum 1) that integrate over Beta(a, b), by the method of Golub and Welsch."""
    from scipy.linalg import eigh_tridiagonal

    n = np.arange(1, QUADRATURE_NODES, dtype=np.float64)
    c = 2 * n + a + b - 2  # Jacobi polynomials with exponents b - 1 and a - 1, moved from (-1, 1) to (0, 1)
    diagonal = np.empty(QUADRATURE_NODES)
    diagonal[0] = a / (a + b)
    diagonal[1:] = 0.5 + 0.5 * (a - b) * (a + b - 2) / (c * (c + 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        off = n * (n + b - 1) * (n + a - 1) * (n + a + b - 2) / (c * c * (c + 1) * (c - 1))
    off[0] = a * b / ((a + b) ** 2 * (a + b + 1))  # n = 1 is 0/0 where a + b = 1
    nodes, vectors = eigh_tridiagonal(diagonal, np.sqrt(off))
    return np.asarray(nodes), np.asarray(vectors[0] ** 2)
