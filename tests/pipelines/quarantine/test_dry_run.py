"""The predicted result of a release."""

from datetime import UTC, datetime

from pipelines.config.settings import Settings
from pipelines.quarantine.dry_run import dry_run_release
from pipelines.quarantine.records import QuarantineFilter
from tests.pipelines.quarantine.releases import TOO_LATE, accepted_ids, release_records
from tests.pipelines.small_home import DAY, TOPIC, log_records, movement, run_layers, send


def test_a_dry_run_predicts_the_verdicts_and_sends_nothing(settings: Settings) -> None:
    sent = len(log_records(settings.home))
    found = dry_run_release(settings, QuarantineFilter(TOPIC), None, datetime.now(UTC))
    assert (found.would_pass, found.duplicates, found.again) == (3, 0, 3)
    assert found.reasons == {"future": 1, "invalid_json": 1, "type:quantity": 1}
    assert [example.verdict for example in found.examples].count("accepted") == 3
    assert len(log_records(settings.home)) == sent
    release_records(settings)
    run_layers(settings.home)
    assert len(accepted_ids(settings)) == 1 + found.would_pass
    again = dry_run_release(settings, QuarantineFilter(TOPIC), None, datetime.now(UTC))
    assert (again.would_pass, again.again, again.already) == (0, 0, 9)


def test_a_dry_run_compares_with_accepted_events(settings: Settings) -> None:
    send(settings.home, [movement(0, event_time=TOO_LATE.isoformat())], at=DAY)
    send(settings.home, [movement(0, quantity="9")])
    run_layers(settings.home)
    late = dry_run_release(settings, QuarantineFilter(TOPIC, places=[(1, 7)]), None, datetime.now(UTC))
    assert (late.would_pass, late.reasons) == (0, {"conflicting_duplicate": 1})
