"""Tags of repositories: at most 50, keys up to 128 and values up to 256 characters (user guide, "Tagging a repository")."""

from __future__ import annotations

from local.ecr.errors import EcrError

MAX_TAGS = 50
MAX_KEY = 128
MAX_VALUE = 256


def merged(present: dict[str, str], tags: list[dict[str, str]]) -> dict[str, str]:
    """Return the tags a repository has after being given more, or refuse them."""
    keys = [tag["Key"] for tag in tags]
    if len(set(keys)) != len(keys):
        raise EcrError("InvalidTagParameterException", "Duplicate tag keys were provided")
    for tag in tags:
        if not 1 <= len(tag["Key"]) <= MAX_KEY or tag["Key"].lower().startswith("aws:"):
            raise EcrError("InvalidTagParameterException", f"Invalid tag key '{tag['Key']}'")
        if len(tag["Value"]) > MAX_VALUE:
            raise EcrError("InvalidTagParameterException", f"The value of tag '{tag['Key']}' is longer than {MAX_VALUE} characters")
    result = present | {tag["Key"]: tag["Value"] for tag in tags}
    if len(result) > MAX_TAGS:
        raise EcrError("TooManyTagsException", f"The list of tags on the repository is over the limit of {MAX_TAGS} tags")
    return result


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    """Write tags as the API does, with capital `Key` and `Value`."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
