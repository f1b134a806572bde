"""What editors are told of the documents in a policy file: AWS's shapes, or the file that a document is left to. The loader checks more.

Sources: the user guide's page lifecycle_policy_parameters, the IAM user guide on policy elements. No deployed function comes here.
"""

from typing import Any, Final

from ecr_governor.core.documents.lifecycle import MAX_RULES, Action, CountType, StorageClass, TagStatus
from ecr_governor.core.documents.repository_policy import VERSIONS
from ecr_governor.core.policy.model import FILE

Schema = dict[str, Any]

_ACTIONS: Final = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:DescribeRepositories",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:ListImages",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)
"""What pulls, pushes and looks; others are allowed as well."""


def _text(description: str, *choices: str) -> Schema:
    return {"type": "string", "description": description, **({"enum": list(choices)} if choices else {})}


def _number(description: str) -> Schema:
    return {"type": "integer", "minimum": 1, "description": description}


def _texts(description: str) -> Schema:
    return {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "description": description}


def _object(description: str, properties: Schema, *required: str) -> Schema:
    found: Schema = {"type": "object", "description": description, "properties": properties, "additionalProperties": False}
    return {**found, "required": list(required)} if required else found


LEFT_TO_A_FILE: Final = _object(
    "The file that holds the document.",
    {FILE: {"type": "string", "minLength": 1, "description": "Its path as seen from the policy file, in or below its folder."}},
    FILE,
)

_SELECTION: Final = _object(
    "Which images the rule is for.",
    {
        "tagStatus": _text("By tags: `any` has the highest rulePriority.", *TagStatus),
        "tagPatternList": _texts("With `tagged`: an image must carry a tag for each; `*` is any run of characters."),
        "tagPrefixList": _texts("With `tagged`, instead of patterns: what the tags begin with."),
        "storageClass": _text("`archive` only with sinceImageTransitioned.", *StorageClass),
        "countType": _text("What is counted. `sinceImagePulled` can only archive.", *CountType),
        "countUnit": _text("With the `since…` types.", "days"),
        "countNumber": _number("How many images, or days."),
    },
    "tagStatus",
    "countType",
    "countNumber",
)
_ACTION: Final = _object(
    "What happens to them.",
    {
        "type": _text("`transition` archives.", *Action),
        "targetStorageClass": _text("With `transition`.", StorageClass.ARCHIVE),
    },
    "type",
)
LIFECYCLE_POLICY: Final = _object(
    "A lifecycle policy as ECR takes it, written in YAML.",
    {
        "rules": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_RULES,
            "description": "Its rules. An image is for the first that selects it, whether or not that one acts.",
            "items": _object(
                "A rule.",
                {
                    "rulePriority": _number("The lowest number comes first; each is there once."),
                    "description": _text("What it is for."),
                    "selection": _SELECTION,
                    "action": _ACTION,
                },
                "rulePriority",
                "selection",
                "action",
            ),
        }
    },
    "rules",
)

_ONE_OR_MORE: Final = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
_ONE_ACTION: Final = {"anyOf": [{"enum": list(_ACTIONS)}, {"type": "string", "pattern": "^(\\*|[eE][cC][rR]:.*)$"}]}


def _principal(description: str) -> Schema:
    kinds = {
        kind: {**_ONE_OR_MORE, "description": meaning}
        for kind, meaning in (
            ("AWS", "Account ids, in quotes, or ARNs of roles and users."),
            ("Service", "For example lambda.amazonaws.com."),
            ("Federated", "Identity providers."),
        )
    }
    return {"description": description, "anyOf": [{"const": "*"}, {**_object("Who, by kind.", kinds), "minProperties": 1}]}


def _action(description: str) -> Schema:
    return {"description": description, "anyOf": [_ONE_ACTION, {"type": "array", "items": _ONE_ACTION}]}


REPOSITORY_POLICY: Final = _object(
    "A repository policy as ECR takes it, written in YAML.",
    {
        "Version": _text("The version of the policy language.", *VERSIONS),
        "Id": {"description": "What it is called."},
        "Statement": {
            "type": "array",
            "minItems": 1,
            "description": "Its statements. There is no Resource: it is the repository's own.",
            "items": _object(
                "A statement.",
                {
                    "Sid": {**_text("By which it is merged: other statements stay as they are."), "minLength": 1},
                    "Effect": _text("Whether it lets or denies.", "Allow", "Deny"),
                    "Principal": _principal("Whom it is for."),
                    "NotPrincipal": _principal("Whom it is not for; only with Deny."),
                    "Action": _action("What they may do, or not."),
                    "NotAction": _action("All but these."),
                    "Condition": {
                        "type": "object",
                        "description": "When: operators, with keys and values.",
                        "additionalProperties": {"type": "object"},
                    },
                },
                "Sid",
                "Effect",
            ),
        },
    },
    "Version",
    "Statement",
)


def put_into(settings: Schema, definitions: Schema) -> None:
    """Say of a namespace's settings what their documents look like."""
    definitions |= {"LifecyclePolicy": LIFECYCLE_POLICY, "RepositoryPolicy": REPOSITORY_POLICY, "LeftToAFile": LEFT_TO_A_FILE}
    for key, shape in (("lifecycle_policy", "LifecyclePolicy"), ("repository_policy", "RepositoryPolicy")):
        settings[key]["anyOf"] = [{"$ref": f"#/$defs/{each}"} for each in (shape, "LeftToAFile")] + [{"type": "null"}]
