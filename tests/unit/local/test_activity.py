"""Who has work under way is known by name."""

from local.activity import Activity


def test_who_is_busy_is_named_until_all_is_done() -> None:
    activity = Activity()
    activity.begin("notify")
    with activity.work("sweep"), activity.work("notify"):
        assert (activity.busy, activity.running) == (["notify", "sweep"], 3)
    assert (activity.busy, activity.running, activity.begun) == (["notify"], 1, 3)
    activity.end("notify")
    assert (activity.busy, activity.running) == ([], 0)
