"""What says that an image is in use, and how long that may be believed."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from ecr_governor.core.repository import Unreadable
from ecr_governor.core.retirement.evidence import LONGEST_LIFE, Evidence, Use, last_used, missing, users_of
from ecr_governor.core.retirement.snapshot import Snapshot
from tests.retiring import an_image, digest

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
HELD = Snapshot("payments/api", "arn", NOW - 90 * DAY, {}, None, (an_image(1), an_image(2)))


def test_of_a_use_or_evidence_of_which_nothing_else_is_said_nothing_is_known() -> None:
    assert asdict(Use("a task")) == {"user": "a task", **dict.fromkeys(("repository", "digest", "tag", "at"))}
    assert asdict(Evidence("ecs", NOW)) == {"source": "ecs", "read_at": NOW, "uses": (), "trouble": "", "expires_at": None}


def test_a_file_of_evidence_is_good_for_a_week_at_the_most() -> None:
    assert timedelta(days=7) == LONGEST_LIFE


@pytest.mark.parametrize(
    ("evidence", "doubt"),
    [
        (Evidence("ecs", NOW), ""),
        (Evidence("ecs", NOW - SECOND), ""),
        (Evidence("ecs", NOW + SECOND), "ecs is from the future: 2026-11-02T12:00:01+00:00"),
        (Evidence("ecs", NOW, trouble="AccessDenied"), "ecs could not be read: AccessDenied"),
        (Evidence("ecs", NOW + SECOND, trouble="AccessDenied"), "ecs could not be read: AccessDenied"),
        (Evidence("files", NOW - 7 * DAY), ""),
        (Evidence("files", NOW - 7 * DAY - SECOND), "files is stale: it was good until 2026-11-02T11:59:59+00:00"),
        (Evidence("files", NOW - DAY, expires_at=NOW), ""),
        (Evidence("files", NOW - DAY, expires_at=NOW - SECOND), "files is stale: it was good until 2026-11-02T11:59:59+00:00"),
        (Evidence("files", NOW - 7 * DAY, expires_at=NOW + DAY), ""),
        (Evidence("files", NOW - 7 * DAY - SECOND, expires_at=NOW + DAY), "files is stale: it was good until 2026-11-02T11:59:59+00:00"),
        (Evidence("files", NOW - 8 * DAY, expires_at=NOW - 5 * DAY), "files is stale: it was good until 2026-10-28T12:00:00+00:00"),
    ],
)
def test_evidence_is_believed_from_when_it_was_read_until_it_is_stale(evidence: Evidence, doubt: str) -> None:
    assert evidence.doubt(NOW) == doubt


@pytest.mark.parametrize(
    ("use", "named"),
    [
        (Use("a task", repository="payments/api"), True),
        (Use("a task", repository="payments/api", digest=digest(9)), True),
        (Use("a task", digest=digest(2)), True),
        (Use("a task", repository="search/web", digest=digest(1)), True),
        (Use("a task", repository="search/web"), False),
        (Use("a task", repository="payments/ap"), False),
        (Use("a task", digest=digest(9)), False),
        (Use("a task", tag="v1"), False),
        (Use("a task"), False),
    ],
)
def test_who_uses_the_repository_or_any_of_its_images_is_named(use: Use, named: bool) -> None:
    others = (Evidence("lambda", NOW), Evidence("ecs", NOW, (Use("another", repository="search/web"), use)))
    assert list(users_of(HELD, others)) == (["ecs: a task"] if named else [])


def test_who_used_it_once_is_no_user_and_the_last_time_counts() -> None:
    then = [NOW - days * DAY for days in (9, 3, 5)]
    uses = (
        Use("a pod", repository="payments/api", at=then[0]),
        Use("a pod", digest=digest(2), at=then[1]),
        Use("a pod", repository="search/web", digest=digest(1), at=then[2]),
        Use("a pod", repository="search/web", digest=digest(9), at=NOW),
        Use("a task", repository="payments/api"),
    )
    evidence = [Evidence("inspector", NOW, uses[:2], trouble="only in part"), Evidence("inspector", NOW, uses[2:])]
    assert list(users_of(HELD, evidence)) == ["inspector: a task"]
    assert last_used(HELD, evidence) == then[1]
    assert last_used(HELD, [Evidence("inspector", NOW, uses[4:])]) is None


def test_who_uses_it_is_named_although_the_source_is_in_doubt() -> None:
    stale = Evidence("files", NOW - 90 * DAY, (Use("a pod", "payments/api"),), trouble="only in part")
    assert list(users_of(HELD, [stale])) == ["files: a pod"]


def test_where_the_images_cannot_be_read_the_name_still_counts() -> None:
    dark = Snapshot("payments/api", "arn", NOW, {}, None, Unreadable("denied"))
    assert list(users_of(dark, [Evidence("ecs", NOW, (Use("by name", "payments/api"), Use("by digest", digest=digest(1))))])) == [
        "ecs: by name"
    ]
    assert list(users_of(HELD, [])) == []


def test_sources_that_said_nothing_at_all_are_missing() -> None:
    heard = [Evidence("ecs", NOW, trouble="denied"), Evidence("files", NOW)]
    assert missing(("ecs", "lambda", "files"), heard) == ("lambda",)
    assert missing(("lambda", "ecs"), []) == ("lambda", "ecs")
    assert missing((), heard) == ()
    assert missing(("ecs",), iter(heard)) == ()
