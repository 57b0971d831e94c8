"""Fixes for quarantined records, as a user writes them."""

import json


def quantity_as_number(value: bytes | None) -> bytes | None:
    event = json.loads(value or b"")
    return json.dumps(event | {"quantity": int(event["quantity"])}).encode()
