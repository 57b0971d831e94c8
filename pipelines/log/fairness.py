"""How many records each partition may give to one poll."""

from collections.abc import Mapping


def shares(available: Mapping[int, int], most: int) -> dict[int, int]:
    """Split `most` among partitions with `available` records: equal shares, what one cannot use goes to the others.

    The sum is min(most, what is available). A remainder goes one by one to the partitions in their order, so the caller
    sets, by the order of `available`, who comes first when there are fewer records to take than partitions.
    """
    left = most
    taken: dict[int, int] = {}
    waiting = sorted((partition for partition in available if available[partition] > 0), key=lambda p: available[p])
    while waiting:
        share, over = divmod(left, len(waiting))
        if available[waiting[0]] > share:  # so has every other one: all take the share
            order = [partition for partition in available if partition in waiting]
            return taken | {partition: share + (number < over) for number, partition in enumerate(order)}
        smallest = waiting.pop(0)
        taken[smallest] = available[smallest]
        left -= available[smallest]
    return taken


def in_turn(positions: Mapping[int, int]) -> list[int]:
    """The partitions in an order that moves on by one with every record read, so that none always comes first.

    It depends on the positions alone: polls of one record take the partitions in turn, also after a restart.
    """
    partitions = sorted(positions)
    first = sum(positions.values()) % len(partitions) if partitions else 0
    return partitions[first:] + partitions[:first]
