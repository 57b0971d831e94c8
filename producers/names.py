"""Names of people, titles and products. Names of people come from Faker, seeded."""

from functools import cache
from typing import Any

import numpy as np

from producers.randomness import stream

GENRES = (
    "Action", "Adventure", "Comedy", "Drama", "Fantasy", "Horror",
    "Mecha", "Mystery", "Romance", "Sci-Fi", "Slice of Life", "Sports",
)  # fmt: skip
GENRE_WEIGHTS = (1.5, 1.2, 1.0, 0.9, 1.6, 0.5, 0.6, 0.6, 1.1, 1.0, 0.8, 0.5)

STUDIOS = (
    "Studio Akatombo", "Hikari Works", "Kumo Animation", "Studio Yamabiko", "Tetra Pictures", "North Crane",
    "Studio Mizuiro", "Paper Lantern", "Kazeiro", "Studio Hanabi", "Blue Persimmon", "Garage Nine",
)  # fmt: skip
AGE_RATINGS = ("0", "6", "12", "12", "12", "16", "16", "18")

_ADJECTIVES = (
    "Crimson", "Silent", "Azure", "Hollow", "Golden", "Wandering", "Midnight", "Paper", "Electric", "Forgotten", "Iron",
    "Moonlit", "Scarlet", "Distant", "Velvet", "Restless", "Frozen", "Luminous", "Borrowed", "Thousandfold", "Last",
    "Secret", "Drifting", "Clockwork",
)  # fmt: skip
_NOUNS = (
    "Horizon", "Alchemist", "Garden", "Blade", "Orchestra", "Kitsune", "Harbor", "Academy", "Comet", "Lighthouse",
    "Samurai", "Witch", "Express", "Phantom", "Summer", "Labyrinth", "Dragon", "Parade", "Detective", "Galaxy",
    "Shrine",
    "Letters", "Engine", "Tides",
)  # fmt: skip
_PATTERNS = ("{a} {n}", "The {a} {n}", "{n} of the {a} Sky", "{a} {n}: Rebirth", "My {a} {n}")

CATEGORIES = ("manga", "figure", "apparel", "plush", "poster", "blu-ray", "keychain", "artbook")
CATEGORY_WEIGHTS = (0.30, 0.16, 0.15, 0.11, 0.08, 0.08, 0.08, 0.04)
CATEGORY_PRICES = (
    (790, 1290),
    (2990, 14990),
    (1990, 5990),
    (1490, 4490),
    (690, 1990),
    (2490, 6990),
    (490, 1190),
    (2990, 5990),
)
CATEGORY_SUPPLIERS = (
    (3, 8),
    (2, 5),
    (7, 6),
    (4, 6),
    (9, 8),
    (10, 1),
    (5, 6),
    (3, 9),
)  # positions in suppliers.csv, from 1
_VARIANTS = (
    ("Manga Vol. 1", "Manga Vol. 2", "Manga Vol. 3", "Manga Vol. 4", "Manga Box Set"),
    ("Scale Figure 1/7", "Chibi Figure", "Action Figure", "Statue"),
    ("T-Shirt", "Hoodie", "Cap", "Socks"),
    ("Plush 20 cm", "Plush 40 cm", "Plush Keychain"),
    ("Poster A2", "Wall Scroll", "Art Print"),
    ("Blu-ray", "Collector's Blu-ray", "Soundtrack CD"),
    ("Acrylic Keychain", "Pin Set", "Phone Strap"),
    ("Artbook", "Storyboard Book"),
)

_LOCALES = {
    "DE": "de_DE", "AT": "de_AT", "FR": "fr_FR", "BE": "fr_BE", "ES": "es_ES", "IT": "it_IT", "NL": "nl_NL",
    "PT": "pt_PT", "IE": "en_IE",
}  # fmt: skip
POOL = 60  # first names and last names a country


@cache
def people(seed: int) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return first and last names by country."""
    from faker.factory import Factory  # the import takes 0.2 s

    pools = {}
    for country, locale in _LOCALES.items():
        fake: Any = Factory.create(locale, providers=["faker.providers.person"])
        fake.seed_instance(seed)
        pools[country] = (
            tuple(fake.first_name() for _ in range(POOL)),
            tuple(fake.last_name() for _ in range(POOL)),
        )
    return pools


def titles(seed: int, count: int) -> list[str]:
    """Return `count` distinct anime titles. When the combinations are used up, a season number is added."""
    combinations = [
        pattern.format(a=adjective, n=noun) for pattern in _PATTERNS for adjective in _ADJECTIVES for noun in _NOUNS
    ]
    order = np.argsort(stream(seed, "titles", "name").random(len(combinations)), kind="stable")
    names = []
    for index in range(count):
        name = combinations[order[index % len(order)]]
        season = index // len(order)
        names.append(f"{name} {season + 1}" if season else name)
    return names


def product_name(title: str | None, category: int, chance: float) -> str:
    """Return the product name."""
    variants = _VARIANTS[category]
    variant = variants[int(chance * len(variants))]
    return f"{title} - {variant}" if title else f"AnimeVerse {variant}"


_PRAISE = {
    1: ("Broken on arrival.", "Not what the picture showed.", "I want those hours back.", "Never again."),
    2: ("Expected more.", "Thin story, nice colours.", "Feels cheap for the price.", "Fell asleep halfway."),
    3: ("It is all right.", "Good start, weak ending.", "Does the job.", "For fans only."),
    4: ("Really good, small flaws.", "Beautifully made.", "Would buy again.", "The score alone is worth it."),
    5: ("Perfect!", "My favourite of the year.", "Better than I hoped, the details are lovely.", "I cried. Twice."),
}  # fmt: skip


def review_texts() -> tuple[tuple[str, ...], ...]:
    """Return review sentences for each rating from 1 to 5."""
    return tuple(_PRAISE[rating] for rating in range(1, 6))
