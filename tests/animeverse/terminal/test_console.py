from animeverse.terminal import console


def test_bars_are_proportional_to_the_largest_value() -> None:
    assert console.bar(10, 10, 8) == "████████"
    assert console.bar(5, 10, 8) == "████"
    assert console.bar(0.1, 10, 8) == "▏"
    assert console.bar(0, 10, 8) == console.bar(-3, 10, 8) == console.bar(1, 0, 8) == ""


def test_durations_and_sizes_have_units() -> None:
    assert [console.seconds(s) for s in (0.0004, 0.25, 1, 90, 600)] == ["0 ms", "250 ms", "1.0 s", "90.0 s", "10.0 min"]
    assert [console.size(n) for n in (0, 999, 1_500, 2_000_000, 3 * 10**12)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "2.0 MB",
        "3.0 TB",
    ]
