"""Divides the records of one poll among partitions."""

from collections.abc import Mapping


def shares(available: Mapping[int, int], most: int) -> dict[int, int]:
    """Divide `most` records among partitions that have `available` records, in equal shares.

    Partitions with fewer records leave the rest of their share to the others. The shares sum to the smaller of `most`
    and all available records. A remainder goes one by one to the partitions in the order of `available`.
    """
    left = most
    result: dict[int, int] = {}
    waiting = sorted((partition for partition in available if available[partition] > 0), key=lambda p: available[p])
    while waiting:
        share, over = divmod(left, len(waiting))
        if available[waiting[0]] > share:  # all others have more than the share, too
            order = [partition for partition in available if partition in waiting]
            return result | {partition: share + (number < over) for number, partition in enumerate(order)}
        smallest = waiting.pop(0)
        result[smallest] = available[smallest]
        left -= available[smallest]
    return result


def rotated(positions: Mapping[int, int]) -> list[int]:
    """Return the partitions in an order that rotates by one with every record read, so that none is always first.

    The order depends only on the positions: polls of one record alternate between the partitions, also after a restart.
    """
    partitions = sorted(positions)
    first = sum(positions.values()) % len(partitions) if partitions else 0
    return partitions[first:] + partitions[:first]
