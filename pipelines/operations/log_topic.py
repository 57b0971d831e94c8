"""Whether the log's topic is the one that bronze was read from."""

from pipelines.bronze.position import Position
from pipelines.log.interface import TopicState


def topic_mismatch(position: Position, state: TopicState) -> str | None:
    """Return the difference as a message, or None if bronze was read from this topic or from none yet."""
    if position.topic_id in (None, state.topic_id):
        return None
    return f"bronze was read from topic {position.topic_id}, the log's is {state.topic_id}"
