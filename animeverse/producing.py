"""`animeverse produce` and the demo's history: the generators' records, sent with their progress shown."""

import threading
from datetime import date
from typing import Any

from animeverse.progress import bars
from pipelines.contracts import TOPICS
from pipelines.log.open import open_log
from pipelines.settings import Settings
from producers.world import World


def history(settings: Settings, plan: dict[str, Any], stop: threading.Event) -> int:
    """Send a whole history; how many records were acknowledged before the end or `stop`."""
    world = World(plan["seed"], date.fromisoformat(plan["start"]), plan["days"], plan["events"])
    log = open_log(settings.log_url, kafka=settings.kafka, topic_prefix=settings.topic_prefix)
    sent = 0
    try:
        log.ensure_topics(list(TOPICS), settings.partitions)
        with bars() as shown:
            for batch in world.batches():
                if stop.is_set():
                    break
                sent += log.append(batch.topic, batch.records)
                shown.update("events", sent, world.events)
            shown.update("events", sent, sent)
    finally:
        log.close()
    return sent
