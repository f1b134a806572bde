"""What is kept of a repository that was deleted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ecr_governor.core.repository import Unreadable
from ecr_governor.core.retirement.snapshot import DELETE_AFTER, STATE, Snapshot
from ecr_governor.core.retirement.tombstone import Settings, Tombstone
from tests.retiring import ORIGINAL, an_image

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TAGS = {"owner": "alice", "aws:stack": "s", "awsome": "yes", DELETE_AFTER: "2026-11-02", STATE: "archived"}
HELD = Snapshot("payments/api", "arn", NOW, TAGS, ORIGINAL, (an_image(3, NOW), an_image(1, NOW + SECOND), an_image(2, NOW)))
STONE = Tombstone(HELD, Settings(kms_key="key"), NOW, "abc")


def test_a_repository_of_which_nothing_else_is_said_is_set_up_as_ecr_does_it() -> None:
    assert Settings() == Settings("MUTABLE", (), "AES256", None, scan_on_push=False, lifecycle_policy=None)


def test_neither_our_tags_nor_those_that_only_aws_may_set_are_its_own() -> None:
    assert STONE.tags == {"owner": "alice", "awsome": "yes"}
    assert replace(STONE, snapshot=replace(HELD, tags=Unreadable("denied"))).tags == {}


def test_the_images_are_told_oldest_push_first() -> None:
    before = replace(STONE, taken_before=(an_image(4, NOW + 2 * SECOND), an_image(5, NOW - SECOND)))
    assert STONE.images == (an_image(2, NOW), an_image(3, NOW), an_image(1, NOW + SECOND))
    assert before.images == (an_image(5, NOW - SECOND), *STONE.images, an_image(4, NOW + 2 * SECOND))


def test_what_an_earlier_deletion_took_is_not_forgotten() -> None:
    left = replace(STONE, snapshot=replace(HELD, images=HELD.held[:1]), at=NOW + SECOND, policy_hash="def")
    assert left.after(None) is left
    assert left.after(STONE) == replace(left, taken_before=HELD.held[1:])
    last = replace(left, snapshot=replace(HELD, images=()))
    assert last.after(left.after(STONE)) == replace(last, taken_before=(*HELD.held[1:], HELD.held[0]))
    # An image that was pushed again is there, whatever was taken before.
    assert STONE.after(left.after(STONE)) == STONE
