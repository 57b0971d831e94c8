"""Reviews of products and titles after a purchase (`customer-reviews`)."""

import numpy as np
import polars as pl

from producers import names
from producers.customers import Customers
from producers.draft import Draft, DueQueue, Ids, draft_of
from producers.products import Products
from producers.randomness import Bools, Ints, Odds
from producers.seasons import Window
from producers.shop import Purchases
from producers.text import DAY, HOUR, join, quoted, strings, whole
from producers.titles import Titles

WRITING_SHARE = 0.13  # of purchases by identified customers
_PRODUCT, _TITLE = 0, 1
_VOTES = Odds((0.30, 0.30, 0.16, 0.09, 0.05, 0.03, 0.02, 0.02, 0.02, 0.01))


class Reviews:
    """Scheduled reviews of purchases, and unverified reviews."""

    def __init__(self, customers: Customers, products: Products, titles: Titles, pace: float) -> None:
        """Create the reviews. `pace` scales the time from purchase to review; 1 means up to 12 days."""
        self.customers, self.products, self.titles, self.pace = customers, products, titles, pace
        self.unverified_share = 1 / 12  # reviews by customers who did not buy here
        self._due = DueQueue()
        texts = names.review_texts()
        self._texts = quoted(text for group in texts for text in group)
        self._first = np.cumsum([0, *(len(group) for group in texts)])[:5]
        self._sizes = np.array([len(group) for group in texts])
        self._subject = pl.concat(
            [
                join(['"product_id":"', products.ids, '"'], products.count),
                join(['"title_id":"', titles.ids, '"'], titles.count),
            ]
        )

    def schedule(self, purchases: Purchases | None, *, of_titles: bool, random: np.random.Generator) -> None:
        """Schedule reviews by a share of these buyers."""
        if purchases is None:
            return
        writes = np.flatnonzero(random.random(len(purchases.since)) < WRITING_SHARE * (0.8 if of_titles else 0.5))
        if not len(writes):
            return
        wait = (3 * HOUR + random.random(len(writes)) ** 2 * 12 * DAY) * self.pace
        self._due.add(
            pl.DataFrame(
                {
                    "due_at": purchases.since[writes] + wait.astype(np.int64), "customer": purchases.customer[writes],
                    "subject": purchases.subject[writes],
                    "kind": np.full(len(writes), _TITLE if of_titles else _PRODUCT),
                }
            )
        )  # fmt: skip

    def write(self, window: Window, count: int, random: np.random.Generator, tag: Ids) -> Draft | None:
        """Return at most `count` reviews; fewer while there are few purchases."""
        due = self._due.take(window.end)
        if count <= 0:
            return None
        if due is None:
            due = pl.DataFrame(schema=dict.fromkeys(("due_at", "customer", "subject", "kind"), pl.Int64))
        others = int(count * self.unverified_share)
        due = due.head(max(count - others, 1))
        time, customer, subject, kind = (due[name].to_numpy() for name in ("due_at", "customer", "subject", "kind"))
        late = time < window.begin
        time = np.where(
            late, window.begin + (random.random(len(time)) * (window.end - window.begin)).astype(np.int64), time
        )
        stays = ~self.customers.gone[customer]
        time, customer, subject, kind = time[stays], customer[stays], subject[stays], kind[stays]
        verified = np.ones(len(time), np.bool_)
        known = np.flatnonzero(self.products.known)
        others = min(others, count - len(time)) if self.customers.shoppers[0].total > 0 else 0
        if others > 0 and len(known):
            time = np.concatenate([time, window.times("online", random.random(others))])
            customer = np.concatenate([customer, self.customers.shoppers[0].pick(random.random(others))])
            subject = np.concatenate([subject, known[(random.random(others) * len(known)).astype(np.int64)]])
            kind = np.concatenate([kind, np.full(others, _PRODUCT)])
            verified = np.concatenate([verified, np.zeros(others, np.bool_)])
        order = np.argsort(time, kind="stable")
        return self._rows(time[order], customer[order], subject[order], kind[order], verified[order], random, tag)

    def _rows(
        self,
        time: Ints,
        customer: Ints,
        subject: Ints,
        kind: Ints,
        verified: Bools,
        random: np.random.Generator,
        tag: Ids,
    ) -> Draft | None:
        count = len(time)
        if not count:
            return None
        of_title = kind == _TITLE
        quality = np.where(
            of_title,
            self.titles.quality[np.where(of_title, subject, 0)],
            self.products.quality[np.where(of_title, 0, subject)],
        )
        mood = random.random(count) + random.random(count) + random.random(count) - 1.5
        rating = np.clip(np.rint(quality + 0.45 + 2.2 * mood - np.where(verified, 0.0, 0.4)), 1, 5).astype(np.int64)
        choice = self._first[rating - 1] + (random.random(count) * self._sizes[rating - 1]).astype(np.int64)
        absent = strings([""]).new_from_index(0, count)
        words = join([',"review_text":', self._texts[choice]], count).zip_with(
            pl.Series(values=random.random(count) < 0.72), absent
        )
        votes = join([',"helpful_votes":', whole(_VOTES.pick(random.random(count)))], count).zip_with(
            pl.Series(values=random.random(count) < 0.65), absent
        )
        numbers = whole(tag.take("r", count))
        keys = self.customers.ids[customer]
        rest = join(
            [
                f'"review_id":"RV-{tag.tag}-', numbers, '","customer_id":"', keys, '",',
                self._subject[np.where(of_title, self.products.count + subject, subject)], ',"rating":',
                whole(rating), words, ',"verified_purchase":', strings(("false", "true"))[verified.astype(np.int64)],
                votes, "}",
            ],
            count,
        )  # fmt: skip
        return draft_of(
            "customer-reviews", join([f"r-{tag.tag}-", numbers], count),
            strings(["review"]).new_from_index(0, count), time, keys, rest, caused=True,
        )  # fmt: skip
