from pipelines.bronze.gap_message import gap_message
from pipelines.bronze.position import Position
from pipelines.bronze.topic_identity import Gap, TopicComparison
from pipelines.log.interface import TopicState

POSITION = Position(3, {0: 5, 1: 2}, "old-log", "old-topic")


def message(*gaps: Gap) -> str:
    comparison = TopicComparison(TopicState("t", "new-topic", {0: 0}, {0: 1}), gaps)
    return gap_message("t", "bronze.t", POSITION, "new-log", comparison)


def test_retention_names_the_lost_offsets_and_the_command() -> None:
    assert message(Gap(0, "retention", 5, 7, 3)) == (
        "t: 3 records are lost: retention removed them from the log before bronze.t had read them. partition 0: "
        "offsets 5 to 7 (3 records; the log begins at 8). No records were read now. Restore them to the log, or run "
        "`animeverse resume t`, which records the gap in ops.log_gaps and continues at the first record of the log."
    )


def test_an_older_log_names_what_only_bronze_holds() -> None:
    text = message(Gap(0, "log_restored", 3, 4, 0))
    assert "partition 0: read up to 4, but from 3 on the log has other records or none." in text
    assert "numbers the topic's partitions from 100000 on" in text


def test_another_log_and_a_recreated_topic_name_both_identities() -> None:
    identities = "expected topic old-topic of log old-log, found topic new-topic of log new-log"
    other = message(Gap(0, "other_log", 5, None, None), Gap(1, "other_log", 2, None, None))
    assert other.startswith(
        f"t: this is a different log: {identities}. bronze.t has read partition 0 up to 4; partition 1"
    )
    recreated = message(Gap(0, "topic_made_anew", 5, None, None))
    assert recreated.startswith(f"t: the topic was deleted and recreated: {identities}")


def test_a_long_list_of_partitions_is_cut_short() -> None:
    text = message(*(Gap(partition, "other_log", 1, None, None) for partition in range(20)))
    assert "partition 7 up to 0 and 12 more" in text
