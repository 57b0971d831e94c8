"""An event_id used again beyond the deduplication horizon is another event (R21), in gold, too."""

from datetime import timedelta
from pathlib import Path

import duckdb

from pipelines.config.settings import load_settings
from pipelines.operations.verify import verify
from tests.pipelines.small_home import DAY, movement, run_layers, sale, send
from warehouse.verify import gold_checks


def test_an_event_id_used_again_after_the_horizon_does_not_stop_a_refresh(tmp_path: Path) -> None:
    later = DAY + timedelta(days=9)
    again = {**sale(0, "5", later), "event_type": "return"}
    send(tmp_path, [sale(0, "2", DAY), sale(1, "1", later), again], topic="pos-transactions")
    send(tmp_path, [movement(0), movement(0, event_time=later.isoformat()), movement(60 * 24 * 9, event_id="e0")])
    run_layers(tmp_path, gold=True)
    settings = load_settings(home=tmp_path)
    with duckdb.connect(str(settings.published_path), read_only=True) as gold:
        lines = gold.execute(
            "select event_id, event_type, net_sales_amount::double from gold.fct_sales order by all"
        ).fetchall()
        assert lines == [("s0", "return", -5.0), ("s0", "sale", 2.0), ("s1", "sale", 1.0)]
        warned = gold.execute(
            "select model from ops.gold_warnings where claim like 'an event_id%' order by all"
        ).fetchall()
        assert warned == [("gold.fct_inventory_movement",), ("gold.fct_sales",)]
    assert [check for check in verify(settings, rebuild=True, gold_checks=gold_checks) if not check.ok] == []
