"""The made-up registry: repeatable, indifferent to the day, and truthful."""

import json
import re

import pytest

from benchmarks import rules
from benchmarks.account import DAY, OLD, RECENT, Access, Life, Repository, account, changed, truth
from benchmarks.peers.naive import by_policy

TODAY = 20_000 * DAY
SHARES = {
    rules.NAME: 0.20,
    rules.LIFECYCLE_MISSING: 0.40,
    rules.POLICY_MISSING: 0.51,
    rules.POLICY_PUBLIC: 0.04,
    rules.POLICY_UNTRUSTED: 0.10,
    rules.SCAN_OFF: 0.30,
    rules.MUTABLE: 0.45,
    rules.TAGS_MISSING: 0.35,
    rules.UNUSED: 0.30,
}


@pytest.fixture(scope="module")
def repositories() -> list[Repository]:
    return account(1000, 7, TODAY)


def moments(repository: Repository) -> list[float]:
    return [repository.created_at, *(at for image in repository.images for at in (image.pushed_at, image.pulled_at) if at is not None)]


def test_a_seed_always_makes_the_same_account(repositories: list[Repository]) -> None:
    assert account(1000, 7, TODAY) == repositories
    assert account(1000, 8, TODAY) != repositories


def test_a_smaller_account_is_the_beginning_of_a_larger_one(repositories: list[Repository]) -> None:
    assert account(10, 7, TODAY) == repositories[:10]


def test_names_and_digests_are_unique(repositories: list[Repository]) -> None:
    digests = [image.digest for repository in repositories for image in repository.images]
    assert len({repository.name for repository in repositories}) == len(repositories)
    assert len(set(digests)) == len(digests)


def test_nothing_happens_between_recent_and_old_or_before_the_creation_or_in_future(repositories: list[Repository]) -> None:
    for repository in repositories:
        for moment in moments(repository):
            days = (TODAY - moment) / DAY
            assert 0 <= days <= RECENT[1] or days >= OLD[0], repository.name
            assert moment >= repository.created_at, repository.name
        assert all(image.pulled_at is None or image.pulled_at >= image.pushed_at for image in repository.images)


@pytest.mark.parametrize("days", [-9, -1, 1, 9])
def test_the_day_of_the_run_changes_nothing(repositories: list[Repository], days: int) -> None:
    assert truth(repositories, TODAY + days * DAY) == truth(repositories, TODAY)


def test_repositories_hold_ten_to_twenty_images_or_none(repositories: list[Repository]) -> None:
    counts = {len(repository.images) for repository in repositories}
    assert counts == {0, *range(10, 21)}


def test_names_are_judged_as_the_pattern_judges_them(repositories: list[Repository]) -> None:
    bad = {repository.name for repository in repositories if not re.match(rules.NAME_PATTERN, repository.name)}
    assert bad == set(truth(repositories, TODAY)[rules.NAME])


def test_policies_say_what_the_record_says(repositories: list[Repository]) -> None:
    broken_by = {
        Access.TRUSTED: set(),
        Access.UNTRUSTED: {rules.POLICY_UNTRUSTED},
        Access.PUBLIC: {rules.POLICY_UNTRUSTED, rules.POLICY_PUBLIC},
    }
    for repository in repositories:
        if repository.policy_text is None:
            assert repository.access is Access.NO_POLICY
        else:
            assert by_policy(json.loads(repository.policy_text)) == broken_by[repository.access], repository.name


def test_every_rule_is_broken_by_its_share(repositories: list[Repository]) -> None:
    shares = {rule: len(names) / len(repositories) for rule, names in truth(repositories, TODAY).items()}
    assert shares == pytest.approx(SHARES, abs=0.04)


def test_some_live_by_pulls_alone_and_some_by_pushes_alone(repositories: list[Repository]) -> None:
    recently = TODAY - RECENT[1] * DAY
    lives = set()
    for repository in repositories:
        pushed = any(image.pushed_at >= recently for image in repository.images)
        pulled = any(image.pulled_at is not None and image.pulled_at >= recently for image in repository.images)
        if repository.created_at < recently:
            lives.add({(True, True): Life.USED, (False, True): Life.PULLED, (True, False): Life.PUSHED}.get((pushed, pulled), Life.UNUSED))
    assert lives == {Life.USED, Life.PULLED, Life.PUSHED, Life.UNUSED}


def test_a_change_concerns_every_fiftieth_repository_and_every_rule_that_can_change(repositories: list[Repository]) -> None:
    after = changed(repositories, TODAY)
    assert [each.number for each, other in zip(after, repositories, strict=True) if each != other] == list(range(0, 1000, 50))
    before, now = truth(repositories, TODAY), truth(after, TODAY)
    assert {rule for rule in rules.RULES if before[rule] != now[rule]} == set(rules.RULES) - {rules.NAME}
    assert len(now[rules.UNUSED]) < len(before[rules.UNUSED])
