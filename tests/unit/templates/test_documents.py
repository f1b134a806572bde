"""Templates as resources of CloudFormation, and the policies that keep names to their prefixes."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from ecr_governor.core.policy.load import load
from ecr_governor.core.policy.presets import Preset
from ecr_governor.core.templates import cloudformation, guards
from ecr_governor.core.templates.compile import MARK, compiled
from ecr_governor.core.templates.template import Template

WHOLE = Template(
    "payments/web",
    frozenset({"CREATE_ON_PUSH"}),
    MARK,
    tag_mutability="IMMUTABLE_WITH_EXCLUSION",
    exclusion_filters=frozenset({"latest"}),
    encryption="KMS",
    kms_key="arn:aws:kms:eu-west-1:123456789012:key/1",
    lifecycle_policy="{}",
    repository_policy="{}",
    resource_tags={"team": "payments"},
    custom_role_arn="arn:aws:iam::123456789012:role/ecr-creation",
)


def test_cloudformation_has_names_of_its_own_for_the_same_fields() -> None:
    resources = cloudformation.document([WHOLE], "0123456789ab")["Resources"]
    assert resources == {
        "TemplatePaymentsWebdc1662": {
            "Type": "AWS::ECR::RepositoryCreationTemplate",
            "Properties": {
                "Prefix": "payments/web",
                "Description": cloudformation.CLOUDFORMATION_MARK,
                "AppliedFor": ["CREATE_ON_PUSH"],
                "ImageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
                "EncryptionConfiguration": {"EncryptionType": "KMS", "KmsKey": "arn:aws:kms:eu-west-1:123456789012:key/1"},
                "ImageTagMutabilityExclusionFilters": [
                    {"ImageTagMutabilityExclusionFilterType": "WILDCARD", "ImageTagMutabilityExclusionFilterValue": "latest"}
                ],
                "LifecyclePolicy": "{}",
                "RepositoryPolicy": "{}",
                "ResourceTags": [{"Key": "team", "Value": "payments"}],
                "CustomRoleArn": "arn:aws:iam::123456789012:role/ecr-creation",
            },
        }
    }


def test_cloudformation_knows_every_name() -> None:
    spec = find_spec("cfnlint")
    assert spec is not None
    assert spec.origin is not None
    schemas = Path(spec.origin).parent / "data" / "schemas"
    file = json.loads((schemas / "providers" / "eu-west-1.json").read_text())["AWS::ECR::RepositoryCreationTemplate"]
    schema = json.loads((schemas / "resources" / f"{file}.json").read_text())
    (resource,) = cloudformation.document([WHOLE], "0123456789ab")["Resources"].values()
    properties = resource["Properties"]
    assert set(schema["required"]) <= properties.keys() <= schema["properties"].keys()
    below = schema["definitions"]
    assert properties["EncryptionConfiguration"].keys() <= below["EncryptionConfiguration"]["properties"].keys()
    assert sorted(properties["ImageTagMutabilityExclusionFilters"][0]) == sorted(below["ImageTagMutabilityExclusionFilter"]["required"])
    assert sorted(properties["ResourceTags"][0]) == sorted(below["Tag"]["required"])


def test_what_cloudformation_made_is_never_taken_for_ours() -> None:
    assert cloudformation.CLOUDFORMATION_MARK != MARK


def test_no_two_prefixes_have_one_name() -> None:
    prefixes = ["ROOT", "root", "a/b", "a-b", "a_b", "a--b", "a.b", "ab", "aB"]
    names = [cloudformation.logical_id(prefix) for prefix in prefixes]
    assert len(set(names)) == len(prefixes)
    assert all(name.isalnum() for name in names)
    assert cloudformation.logical_id("payments") == "TemplatePayments"


def test_the_prefixes_are_those_under_no_other() -> None:
    text = "version: 1\nnamespaces: {ROOT: {}, a: {}, a/b: {}, ab: {}, c/d: {}}"
    assert guards.prefixes_of(load(text, "policy.yaml")) == ("a", "ab", "c/d")


def test_both_documents_refuse_creation_outside_and_nothing_else() -> None:
    registry = guards.registry_policy(["a", "c/d"], "123456789012", "eu-west-1", "aws")
    (statement,) = registry["Statement"]
    assert statement["NotResource"] == [f"arn:aws:ecr:eu-west-1:123456789012:repository/{prefix}/*" for prefix in ("a", "c/d")]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "ecr:CreateRepository")
    (statement,) = guards.service_control_policy(["a"], [])["Statement"]
    assert statement["NotResource"] == ["arn:aws:ecr:*:*:repository/a/*"]
    assert "Principal" not in statement
    assert statement["Action"] == "ecr:CreateRepository"


def test_templates_are_kept_from_everybody_but_those_who_are_named() -> None:
    _, statement = guards.service_control_policy(["a"], ["arn:aws:iam::*:role/platform"])["Statement"]
    assert statement["Condition"] == {"ArnNotLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/platform"]}}
    assert all(action.endswith("RepositoryCreationTemplate") for action in statement["Action"])


@pytest.mark.parametrize("preset", list(Preset))
def test_no_preset_opens_the_registry_to_pushes(preset: Preset) -> None:
    made = compiled(load(f"version: 1\npreset: {preset.value}\nnamespaces: {{payments: {{}}}}", "policy.yaml"))
    opened = [each.key for each in made.templates if "CREATE_ON_PUSH" in each.applied_for]
    assert "ROOT" not in opened
    assert opened == ["payments"] or any("KMS" in each.what for each in made.left_out)
