"""No message repeats the part of an address that may hold a password (attack A12)."""

import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.config.settings import load_settings
from pipelines.errors import SettingsError

# Recognisable, with all characters that make patterns fail.
SECRETS = st.text(string.ascii_letters + string.digits + "/@:?#%&=+[]()!$'\"\\~;,<> ", min_size=3, max_size=20).map(
    lambda text: f"hush{text}hush"
)


@settings(max_examples=150, deadline=None)
@given(
    secret=SECRETS,
    form=st.sampled_from(
        [
            "kafka://user:{}@host:9092",
            "kafka://{}@host:9092",
            "user:{}@host:9092",
            "https://user:{}@host",
            "https://host/catalog?token={}",
            "https://host?x=1&token={}",
            "https://host/#{}",
            "s3://KEY:{}@bucket",
            "s3://bucket/lake@{}",
            "s3://bucket/lake?secret={}",
            "gs://{}",
            "{}",
        ]
    ),
    field=st.sampled_from(["log_url", "catalog_url", "lake_root"]),
)
def test_an_address_is_refused_or_accepted_without_repeating_a_secret(secret: str, form: str, field: str) -> None:
    value = form.format(secret)
    try:
        found = load_settings(home=Path("/nowhere/home"), **{field: value})
    except SettingsError as error:
        assert "hush" not in str(error)
    else:
        # A path may contain anything; an address with a host must not have been taken with a secret in it.
        assert "://" not in value or "hush" not in str(getattr(found, field)) or "@" not in value


@pytest.mark.parametrize(
    "value", ["http://host/x?token=hush", "http://host/x#hush", "s3://bucket/a@hush", "s3://b/a?hush"]
)
def test_addresses_with_a_query_or_an_at_sign_are_refused(value: str) -> None:
    field = "lake_root" if value.startswith("s3") else "catalog_url"
    with pytest.raises(SettingsError) as refused:
        load_settings(home=Path("/nowhere/home"), **{field: value})
    assert "hush" not in str(refused.value)
