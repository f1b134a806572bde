"""The quarantine's statement: put in beside those of others, and taken out without a trace."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.core.retirement.quarantine import DENIED, SID, TOO_LONG, is_in_force, is_ours, quarantined, released, same_text
from tests.retiring import ORIGINAL

OURS = {"Sid": SID, "Effect": "Deny", "Principal": "*", "Action": list(DENIED)}
THEIRS = {"Sid": "Pull", "Effect": "Allow", "Principal": {"AWS": "210987654321"}, "Action": "ecr:BatchGetImage"}

VALUE = st.text(max_size=12) | st.booleans() | st.integers() | st.none()
STATEMENT = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Principal": st.just("*") | st.dictionaries(st.text(max_size=5), VALUE, max_size=2)},
    optional={
        "Sid": st.text(max_size=8).filter(lambda sid: sid != SID),
        "Action": st.text(max_size=8) | st.lists(st.text(max_size=8), max_size=3),
        "Condition": st.recursive(
            VALUE, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2), max_leaves=4
        ),
    },
)
DOCUMENT = st.fixed_dictionaries(
    {},
    optional={
        "Version": st.sampled_from(["2008-10-17", "2012-10-17"]),
        "Id": st.text(max_size=8),
        "Statement": STATEMENT | st.lists(STATEMENT, max_size=3),
    },
)


@st.composite
def policies(draw: st.DrawFn) -> str:
    """Any policy, in any layout."""
    layout: dict[str, Any] = {
        "indent": draw(st.none() | st.integers(0, 4)),
        "ensure_ascii": draw(st.booleans()),
        "separators": draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", "  :")])),
    }
    return draw(st.sampled_from(["", " ", "\n"])) + json.dumps(draw(DOCUMENT), **layout) + draw(st.sampled_from(["", "\n"]))


def statements(policy: str | None) -> list[Any]:
    found = json.loads(policy or "{}").get("Statement", [])
    return found if isinstance(found, list) else [found]


def with_statement(*those: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(those)})


round_trips = settings(max_examples=40, deadline=None, derandomize=True)


@round_trips
@given(st.none() | policies(), st.sampled_from([None, 0, 3]))
def test_what_was_there_comes_back_byte_for_byte(original: str | None, indent: int | None) -> None:
    inside = quarantined(original)
    laid_out = json.dumps(json.loads(inside), indent=indent, sort_keys=indent is not None)
    assert is_in_force(laid_out)
    assert is_ours(laid_out)
    assert released(laid_out, original) == original
    assert released(inside, original) == original


@round_trips
@given(policies())
def test_the_statements_of_others_and_the_rest_are_kept(original: str) -> None:
    inside = json.loads(quarantined(original))
    assert inside["Statement"] == [*statements(original), OURS]
    before = json.loads(original)
    assert {**inside, "Statement": None} == {**before, "Statement": None}


@round_trips
@given(policies())
def test_once_in_quarantine_it_is_the_same_again(original: str) -> None:
    assert quarantined(quarantined(original)) == quarantined(original)


@round_trips
@given(policies(), STATEMENT)
def test_what_others_changed_meanwhile_stays(original: str, added: dict[str, Any]) -> None:
    inside = json.loads(quarantined(original))
    changed = json.dumps({**inside, "Statement": [added, *inside["Statement"]]})
    left = released(changed, original)
    assert statements(left) == [added, *statements(original)]
    assert left is not None
    assert {**json.loads(left), "Statement": None} == {**inside, "Statement": None}
    assert not is_ours(left)


def test_without_a_policy_ours_is_the_only_statement() -> None:
    for nothing in (None, ""):
        assert json.loads(quarantined(nothing)) == {"Version": "2012-10-17", "Statement": [OURS]}
        assert released(quarantined(nothing), nothing) == nothing


def test_what_a_push_or_a_pull_takes_is_denied_and_nothing_else() -> None:
    denied = json.loads(quarantined(ORIGINAL))["Statement"][-1]["Action"]
    pull = {"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
    push = {"ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"}
    assert sorted(denied) == sorted(pull | push)
    assert not {"ecr:SetRepositoryPolicy", "ecr:DescribeImages", "ecr:TagResource", "ecr:UntagResource"} & set(denied)


def test_of_the_few_characters_that_a_policy_may_have_none_is_wasted() -> None:
    for policy in (quarantined(None), quarantined(ORIGINAL), released(with_statement(THEIRS, OURS), None)):
        assert policy is not None
        assert policy == json.dumps(json.loads(policy), separators=(",", ":"))


def test_the_statement_is_found_by_every_release() -> None:
    assert SID == "EcrGovernorQuarantine"


def test_a_statement_that_stands_alone_is_kept() -> None:
    alone = json.dumps({"Version": "2012-10-17", "Statement": THEIRS})
    assert statements(quarantined(alone)) == [THEIRS, OURS]
    assert released(quarantined(alone), alone) == alone
    ours_alone = json.dumps({"Statement": OURS})
    assert is_ours(ours_alone)
    assert is_in_force(ours_alone)
    assert released(ours_alone, ORIGINAL) is None


def test_where_others_took_their_statements_out_nothing_is_left() -> None:
    assert released(with_statement(OURS), ORIGINAL) is None
    assert released(with_statement(OURS, OURS), ORIGINAL) is None
    assert json.loads(released(with_statement(OURS, THEIRS, OURS), None) or "") == json.loads(with_statement(THEIRS))


@pytest.mark.parametrize("policy", [None, "", ORIGINAL, "not JSON", "[]", "7", "{}", '{"Statement": []}', f"not {SID}", f'["{SID}"]'])
def test_what_is_in_no_quarantine_is_left_as_it_is(policy: str | None) -> None:
    assert released(policy, "another") == policy
    assert not is_ours(policy)
    assert not is_in_force(policy)


def test_nothing_of_a_former_repository_is_given_to_another_one() -> None:
    assert released(quarantined(ORIGINAL), ORIGINAL, ours=False) is None
    assert released(quarantined(None), None, ours=False) is None
    inside = json.loads(quarantined(ORIGINAL))
    changed = json.dumps({**inside, "Statement": [*inside["Statement"], {"Sid": "New"}]})
    assert statements(released(changed, ORIGINAL, ours=False)) == [THEIRS, {"Sid": "New"}]


@pytest.mark.parametrize(
    ("edit", "stands"),
    [
        ({}, True),
        ({"Action": [*DENIED, "ecr:ListImages"]}, True),
        ({"Action": list(reversed(DENIED))}, True),
        ({"Effect": "Allow"}, False),
        ({"Principal": {"AWS": "210987654321"}}, False),
        ({"Action": list(DENIED[1:])}, False),
        ({"Action": list(DENIED[:-1])}, False),
        ({"Action": DENIED[0]}, False),
        ({"Action": None}, False),
        ({"Action": []}, False),
        ({"Action": [{"Ref": "NoAction"}]}, False),
    ],
)
def test_ours_edited_by_hand_is_ours_but_not_in_force(edit: dict[str, Any], stands: bool) -> None:
    edited = with_statement(THEIRS, {**OURS, **edit})
    assert is_ours(edited)
    assert is_in_force(edited) is stands
    assert statements(released(edited, ORIGINAL)) == [THEIRS]
    assert statements(quarantined(edited)) == [THEIRS, OURS]


@pytest.mark.parametrize(
    "edit", [{"Condition": {"StringNotEquals": {"aws:PrincipalAccount": "123456789012"}}}, {"NotPrincipal": {"AWS": "210987654321"}}]
)
def test_ours_with_a_condition_is_not_in_force(edit: dict[str, Any]) -> None:
    assert not is_in_force(with_statement({**OURS, **edit}))


def test_all_that_makes_it_ours_must_stand_in_one_statement() -> None:
    assert not is_in_force(with_statement({**OURS, "Sid": "Other"}))
    assert not is_in_force(with_statement({**OURS, "Effect": "Allow"}, {**OURS, "Sid": "Other"}))
    assert is_in_force(with_statement({**OURS, "Effect": "Allow"}, OURS))
    assert is_ours(with_statement(THEIRS, {"Sid": SID}))
    assert not is_ours(with_statement(THEIRS))
    assert is_ours(with_statement("no statement", OURS))


def test_ours_is_found_however_its_name_is_written() -> None:
    escaped = with_statement(THEIRS, OURS).replace(SID, SID.replace("E", "\\u0045"))
    assert SID not in escaped
    assert is_ours(escaped)
    assert is_in_force(escaped)
    assert released(escaped, with_statement(THEIRS)) == with_statement(THEIRS)


@pytest.mark.parametrize("policy", ["[]", "7", '"text"', "null", "true"])
def test_a_policy_that_is_no_object_is_refused(policy: str) -> None:
    with pytest.raises(ValueError, match=r"^the repository policy is no JSON object$"):
        quarantined(policy)


@pytest.mark.parametrize("policy", ["not JSON", "{", " "])
def test_a_policy_that_is_no_json_is_refused(policy: str) -> None:
    with pytest.raises(ValueError, match="Expecting"):
        quarantined(policy)


TOLD = r"^with the quarantine's statement the repository policy would have 10241 characters, ECR takes 10240$"


def test_a_policy_that_would_be_too_long_is_refused() -> None:
    def of_length(padding: int) -> str:
        return json.dumps({"Statement": [{"Sid": "x" * padding}]})

    room = TOO_LONG - len(quarantined(of_length(0)))
    assert TOO_LONG == 10_240
    assert len(quarantined(of_length(room))) == TOO_LONG
    with pytest.raises(ValueError, match=TOLD):
        quarantined(of_length(room + 1))


def test_policies_are_the_same_whatever_their_layout() -> None:
    assert same_text('{"a": 1, "b": [2]}', '{"b":[2],"a":1}') is True
    assert same_text('{"a": 1}', '{"a": 2}') is False
