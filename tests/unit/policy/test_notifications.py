"""Where messages go: the first route that takes a repository, the unowned ones' queue, the channel for everything."""

import pytest

from ecr_governor.core.policy.load import PolicyInvalid, load
from ecr_governor.core.policy.notifications import Place
from tests.fakes import a_policy

FILE = """
notifications:
  slack:
    channel: C0MAIN00001
    routes:
      - {owner: "payments*", namespace: payments, channel: C0PAYMENTS1, mention: S0PAYMENTS1}
      - {namespace: payments/, mention: U0SOMEBODY1}
      - {tags: {stage: "prod*", tier: "1"}, channel: C0PRODUCTION}
      - {actor: "ci-search/*", channel: C0SEARCH001}
    unowned: {channel: C0UNOWNED01}
"""


@pytest.mark.parametrize(
    ("name", "owner", "tags", "actors", "place"),
    [
        ("payments/api", "payments-core", {}, (), Place("C0PAYMENTS1", "S0PAYMENTS1")),
        ("payments/api", "search", {}, (), Place("C0MAIN00001", "U0SOMEBODY1")),
        ("payments/api", None, {}, (), Place("C0MAIN00001", "U0SOMEBODY1")),
        ("paymentsx/api", "payments-core", {}, (), Place("C0MAIN00001")),
        ("search/api", "x", {"stage": "production", "tier": "1"}, (), Place("C0PRODUCTION")),
        ("search/api", "x", {"stage": "production"}, (), Place("C0MAIN00001")),
        ("search/api", "x", {"stage": "preprod", "tier": "1"}, (), Place("C0MAIN00001")),
        ("a/b", "x", {}, ("alice", "ci-search/build-1"), Place("C0SEARCH001")),
        ("a/b", None, {}, ("ci-search/build-1",), Place("C0SEARCH001")),
        ("a/b", "", {}, ("alice",), Place("C0UNOWNED01")),
        ("a/b", "x", {}, (), Place("C0MAIN00001")),
    ],
)
def test_the_first_route_that_takes_it_counts(
    name: str, owner: str | None, tags: dict[str, str], actors: tuple[str, ...], place: Place
) -> None:
    assert a_policy(FILE).notifications.slack.place_of(name, owner, tags, actors) == place


def test_only_tags_that_a_route_looks_at_are_kept() -> None:
    assert a_policy(FILE).notifications.slack.tag_keys == {"stage", "tier"}
    assert a_policy("mode: audit").notifications.slack.tag_keys == frozenset()


@pytest.mark.parametrize(
    ("slack", "problem"),
    [
        ("{channel: container-registry}", "'container-registry' is no id of a Slack channel"),
        ('{channel: "#x"}', "is no id of a Slack channel"),
        ("{channel: U0123456789}", "is no id of a Slack channel"),
        ("{routes: [{channel: C0123456789}]}", "is a route for everything"),
        ("{routes: [{owner: x}]}", "the route leads nowhere"),
        ("{routes: [{owner: x, mention: '<!channel>'}]}", "is no id of a Slack user or user group"),
        ("{routes: [{owner: x, mention: here}]}", "is no id of a Slack user or user group"),
        ("{buttons: {approve: [alice]}}", "'alice' is no id of a Slack user or user group"),
        ("{buttons: {open_report: [C0123456789]}}", "'C0123456789' is no id of a Slack user or user group"),
        ("{report: mail}", "link"),
        ("{routes: [{namespace: Payments, channel: C0123456789}]}", "is neither ROOT nor a prefix"),
        ("{unowned: {channels: C0123456789}}", "channels"),
    ],
)
def test_what_leads_nowhere_is_a_problem(slack: str, problem: str) -> None:
    with pytest.raises(PolicyInvalid) as invalid:
        load(f"version: 1\nnotifications: {{slack: {slack}}}\n", "policy.yaml")
    assert problem in str(invalid.value)


@pytest.mark.parametrize(
    ("approve", "lifts"), [("[]", False), ("[U0123456789]", False), ("[U0123456789, U0223456789]", True), ("[S0123456789]", True)]
)
def test_two_people_may_lift_the_caps_where_two_are_named_or_a_group(approve: str, lifts: bool) -> None:
    buttons = a_policy(f"notifications: {{slack: {{buttons: {{approve: {approve}}}}}}}").notifications.slack.buttons
    assert buttons.lifts_caps is lifts


def test_what_the_file_leaves_out_of_the_report_makes_it_no_other_policy() -> None:
    said = a_policy("notifications: {slack: {report: link, buttons: {open_report: null}}}")
    assert said.hash == a_policy("mode: audit").hash
    others = [a_policy(f"notifications: {{slack: {each}}}").hash for each in ("{report: upload}", "{buttons: {open_report: []}}")]
    assert len({said.hash, *others}) == 3
