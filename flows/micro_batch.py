"""Log to bronze to silver to gold, one after the other: `python -m flows.micro_batch`."""

import asyncio

from prefect import flow

from flows import layers


@flow(name="micro-batch")
async def micro_batch(batch_size: int | None = None) -> dict[str, int]:
    """Bring all layers up to date; how many records were read, accepted, duplicates and quarantined.

    Args:
        batch_size: most records a topic in a micro-batch (default: ANIMEVERSE_BATCH_SIZE)
    """
    read = await layers.bronze(batch_size)
    judged = await layers.silver(batch_size)
    await layers.gold()
    topics = judged.topics.values()
    return {
        "records": read.polled,
        "accepted": sum(topic.accepted_on_time + topic.accepted_late for topic in topics),
        "duplicates": sum(topic.duplicates for topic in topics),
        "quarantined": sum(topic.quarantined for topic in topics),
    }


if __name__ == "__main__":
    print(asyncio.run(micro_batch()))  # noqa: T201
