"""What a judgement rests on: another world has another fingerprint, and our own doing is no other world."""

import json
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.core.repository import Unreadable
from ecr_governor.core.retirement.quarantine import quarantined
from ecr_governor.core.retirement.snapshot import (
    ACTIVE,
    ARCHIVED,
    DELETE_AFTER,
    PROTECT,
    STACK,
    STATE,
    HeldImage,
    Snapshot,
    deletion_order,
    fingerprint,
)
from ecr_governor.core.retirement.state import Retirement, Stage, as_data
from tests.retiring import INDEX, MANIFEST, ORIGINAL, an_image, digest

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
FULL = an_image(1, NOW, tags=["v1", "latest"], pulled_at=NOW + SECOND, activated_at=NOW + 2 * SECOND)
HELD = Snapshot("payments/api", "arn", NOW - SECOND, {"owner": "alice", "aws:stack": "s"}, ORIGINAL, (FULL, an_image(2, NOW)))


def but(**image: Any) -> Snapshot:
    """The same repository, but for its first image."""
    return replace(HELD, images=(replace(FULL, **image), *HELD.held[1:]))


OTHER_WORLDS: dict[str, Snapshot] = {
    "digest": but(digest=digest(7)),
    "a tag more": but(tags=FULL.tags | {"v2"}),
    "a tag less": but(tags=frozenset({"v1"})),
    "no tags": but(tags=frozenset()),
    "push": but(pushed_at=NOW + SECOND),
    "pull": but(pulled_at=NOW + 3 * SECOND),
    "never pulled": but(pulled_at=None),
    "return from the archive": but(activated_at=NOW + 3 * SECOND),
    "never archived": but(activated_at=None),
    "an image more": replace(HELD, images=(*HELD.held, an_image(3, NOW))),
    "an image less": replace(HELD, images=HELD.held[:1]),
    "no images": replace(HELD, images=()),
    "creation": replace(HELD, created_at=NOW),
    "another value of a tag": replace(HELD, tags={"owner": "bob", "aws:stack": "s"}),
    "another key of a tag": replace(HELD, tags={"0wner": "alice", "aws:stack": "s"}),
    "a repository tag more": replace(HELD, tags={"owner": "alice", "aws:stack": "s", "team": ""}),
    "a repository tag less": replace(HELD, tags={"owner": "alice"}),
    "a tag almost like ours": replace(HELD, tags={"owner": "alice", "aws:stack": "s", "ecr-governor": "x"}),
    "a tag of AWS": replace(HELD, tags={"owner": "alice", "aws:stack": "t"}),
}


@pytest.mark.parametrize("what", OTHER_WORLDS)
def test_each_part_of_what_was_judged_is_part_of_the_fingerprint(what: str) -> None:
    assert fingerprint(OTHER_WORLDS[what]) not in {fingerprint(HELD), ""}


def test_no_two_of_these_worlds_are_the_same() -> None:
    assert len({fingerprint(each) for each in OTHER_WORLDS.values()}) == len(OTHER_WORLDS)


def test_push_pull_and_return_at_the_same_moment_are_not_taken_for_one_another() -> None:
    bare = {"pulled_at": None, "activated_at": None}
    assert fingerprint(but(**bare | {"pulled_at": NOW})) != fingerprint(but(**bare | {"activated_at": NOW}))


@pytest.mark.parametrize(
    "same",
    [
        replace(HELD, tags={**HELD.tags, DELETE_AFTER: "2026-11-09", STATE: "marked", PROTECT: "yes"}),  # type: ignore[dict-item]
        replace(HELD, tags={"aws:stack": "s", "owner": "alice"}),
        replace(HELD, policy=None),
        replace(HELD, policy=quarantined(ORIGINAL)),
        replace(HELD, images=tuple(reversed(HELD.held))),
        replace(HELD, arn="another", name="another"),
        but(status=ARCHIVED, archived_at=NOW),
        but(status="ACTIVATING"),
        but(tags=frozenset(["latest", "v1"])),
        but(size_bytes=7, media_type=INDEX, subject=digest(2)),
    ],
)
def test_our_own_doing_and_the_order_of_things_are_no_other_world(same: Snapshot) -> None:
    assert fingerprint(same) == fingerprint(HELD)


@pytest.mark.parametrize("part", ["tags", "policy", "images"])
def test_what_could_not_be_read_has_no_fingerprint(part: str) -> None:
    dark = replace(HELD, **{part: Unreadable(f"{part}: denied")})
    assert fingerprint(dark) == ""
    assert dark.unreadable == (f"{part}: denied",)


def test_every_unreadable_part_is_told_and_stands_for_nothing() -> None:
    dark = replace(HELD, tags=Unreadable("a"), policy=Unreadable("b"), images=Unreadable("c"))
    assert dark.unreadable == ("a", "b", "c")
    assert (dark.held, dark.tag("owner"), dark.size_bytes, dark.last_activity) == ((), None, 0, HELD.created_at)
    assert HELD.unreadable == ()
    assert (HELD.tag("owner"), HELD.tag("team"), HELD.size_bytes) == ("alice", None, 2000)
    assert an_image(1, NOW).last_activity == NOW


def test_of_an_image_of_which_nothing_else_is_said_nothing_is_known() -> None:
    known = {"digest": digest(1), "tags": frozenset({"v1"}), "pushed_at": NOW}
    unknown = dict.fromkeys(("pulled_at", "subject", "archived_at", "activated_at"))
    assert asdict(HeldImage(**known)) == {**known, **unknown, "status": "ACTIVE", "media_type": "", "size_bytes": 0}  # type: ignore[arg-type]


def test_tags_and_statuses_are_called_what_others_call_them() -> None:
    """ECR, CloudFormation, roles' conditions, and people who set or remove our tags."""
    assert (ACTIVE, ARCHIVED, STACK) == ("ACTIVE", "ARCHIVED", "aws:cloudformation:stack-id")
    assert (DELETE_AFTER, STATE, PROTECT) == ("ecr-governor:delete-after", "ecr-governor:state", "ecr-governor:protect")


def test_a_fingerprint_is_the_same_in_every_release() -> None:
    """It stands in the ledger: another way to write it would take back every retirement under way."""
    tagged = but(tags=frozenset(f"v{number}" for number in range(9)), media_type=INDEX)
    assert fingerprint(tagged) == "90ba28e967703a2b4419094307d33ec358b6140ba41b743176a39b2290541f1b"


@pytest.mark.parametrize("moment", ["pushed_at", "pulled_at", "activated_at"])
def test_the_last_activity_is_the_newest_of_all(moment: str) -> None:
    late = NOW + 90 * SECOND
    assert but(**{moment: late}).last_activity == late
    assert replace(but(**{moment: late}), images=(HELD.held[1], replace(FULL, **{moment: late}))).last_activity == late
    assert replace(HELD, created_at=late).last_activity == late
    assert but(archived_at=late).last_activity == NOW + 2 * SECOND


def test_indexes_go_first_and_what_speaks_of_an_image_last() -> None:
    signature = an_image(1, subject=digest(4))
    signed_index = an_image(2, media_type=INDEX, subject=digest(4))
    images = [
        an_image(3, media_type=MANIFEST),
        signature,
        an_image(5, media_type=LIST),
        signed_index,
        an_image(4, media_type=INDEX),
        an_image(6),
    ]
    for order in (images, images[::-1]):
        assert [image.digest for image in deletion_order(order)] == [digest(number) for number in (4, 5, 3, 6, 2, 1)]


@settings(max_examples=50)
@given(st.permutations(range(6)), st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)))
def test_no_image_goes_before_what_refers_to_it(order: list[int], indexes: set[int], referring: set[int]) -> None:
    images = [
        an_image(number, media_type=INDEX if number in indexes else MANIFEST, subject=digest(9) if number in referring else None)
        for number in order
    ]
    ordered = deletion_order(images)
    assert sorted(image.digest for image in ordered) == [digest(number) for number in range(6)]
    ranks = [(image.subject is not None, image.media_type == MANIFEST) for image in ordered]
    assert ranks == sorted(ranks)


# How far it is

STATES: list[tuple[Callable[[Retirement], Retirement], bool]] = [
    (lambda each: each, False),
    *((lambda each, intended=intended: replace(each, intended=intended), True) for intended in Stage),  # type: ignore[misc]
    (lambda each: replace(each, stage=Stage.MARKED), True),
    (lambda each: replace(each, stage=Stage.QUARANTINED), True),
    (lambda each: replace(each, stage=Stage.ARCHIVED), True),
    (lambda each: replace(each, stage=Stage.DELETED), False),
]


@pytest.mark.parametrize(("change", "under_way"), STATES)
def test_a_retirement_is_under_way_from_its_first_intent_to_its_end(change: Callable[[Retirement], Retirement], under_way: bool) -> None:
    assert change(Retirement(Stage.OBSERVED, NOW)).under_way is under_way


def test_the_stages_follow_one_another() -> None:
    assert [stage.rank for stage in Stage] == [0, 1, 2, 3, 4]
    assert [str(stage) for stage in Stage] == json.loads('["observed","marked","quarantined","archived","deleted"]')
    assert Retirement(Stage.OBSERVED, NOW).notice == 0


def test_a_retirement_is_written_whole_into_each_entry() -> None:
    each = ("since", "birth", "archiving_since", "not_before", "noticed_at")
    moments = {name: NOW + place * SECOND for place, name in enumerate(each)}
    words = {"fingerprint": "f", "terms": "t", "delete_after": "2026-11-09", "notice": 3, "original_policy": ORIGINAL}
    full = Retirement(stage=Stage.MARKED, intended=Stage.QUARANTINED, **moments, **words)  # type: ignore[arg-type]
    written = as_data(full)
    assert written == {**words, **{name: at.isoformat() for name, at in moments.items()}, "stage": "marked", "intended": "quarantined"}
    assert list(written) == [each.name for each in fields(Retirement)]
    assert type(written["stage"]) is str
    assert json.loads(json.dumps(written)) == written


def test_of_a_retirement_of_which_nothing_else_is_said_nothing_is_known() -> None:
    bare = Retirement(Stage.OBSERVED, NOW)
    moments = dict.fromkeys(("birth", "archiving_since", "not_before", "noticed_at"))
    known = {"notice": 0, **dict.fromkeys(("fingerprint", "terms", "delete_after"), "")}
    unknown = {**moments, **known, "intended": None, "original_policy": None}
    assert asdict(bare) == {"stage": Stage.OBSERVED, "since": NOW, **unknown}
    assert as_data(bare) == {"stage": "observed", "since": NOW.isoformat(), **unknown}
