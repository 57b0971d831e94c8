"""From which bronze batch a policy applies (R18, R29)."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.config.policies import Policy
from pipelines.config.settings import load_settings
from pipelines.silver.policy_history import PolicyHistory
from tests.pipelines.small_home import TOPIC


@pytest.fixture
def policy(tmp_path: Path, without_settings: None) -> Policy:
    return load_settings(home=tmp_path).policy(TOPIC)


def test_a_changed_policy_applies_from_the_batch_after_the_last_in_bronze(policy: Policy) -> None:
    strict = replace(policy, allowed_lateness=timedelta(0))
    history = PolicyHistory.starting_with(policy).changed_to(strict, consumed=2, last_batch=5)
    assert history.first_batches == (1, 6)
    assert [history.policy_of(batch) for batch in (0, 1, 5, 6, 99)] == [policy, policy, policy, strict, strict]
    assert history.newest == strict


def test_an_unchanged_policy_changes_nothing(policy: Policy) -> None:
    history = PolicyHistory.starting_with(policy)
    assert history.changed_to(policy, consumed=2, last_batch=5) == history


def test_a_second_change_before_the_next_batch_replaces_the_first(policy: Policy) -> None:
    changes = [replace(policy, allowed_lateness=timedelta(hours=hours)) for hours in (1, 2)]
    history = PolicyHistory.starting_with(policy)
    for change in changes:
        history = history.changed_to(change, consumed=2, last_batch=5)
    assert history.first_batches == (1, 6)
    assert history.newest == changes[1]


def test_freeze_is_lifted_from_the_first_batch_that_silver_has_not_consumed(policy: Policy) -> None:
    frozen = replace(policy, drift="freeze")
    changed = replace(policy, drift="evolve", allowed_lateness=timedelta(0))
    history = PolicyHistory.starting_with(frozen).changed_to(changed, consumed=2, last_batch=5)
    assert history.first_batches == (1, 3, 6)
    assert [history.policy_of(batch) for batch in (2, 3, 6)] == [frozen, replace(frozen, drift="evolve"), changed]


def test_freeze_applies_only_to_later_batches(policy: Policy) -> None:
    frozen = replace(policy, drift="freeze")
    history = PolicyHistory.starting_with(policy).changed_to(frozen, consumed=2, last_batch=5)
    assert [history.policy_of(batch).drift for batch in (3, 5, 6)] == [policy.drift, policy.drift, "freeze"]
