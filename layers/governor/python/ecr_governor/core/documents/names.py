"""The names that ECR accepts.

Source: the patterns of `RepositoryName` and `Prefix` in botocore's model `ecr/2015-09-21`. The user guide's prose wants a letter
first; the model allows a digit, and the model is what the service checks.
"""

from typing import Final

import re2

MIN_LENGTH: Final = 2
MAX_LENGTH: Final = 256
ROOT: Final = "ROOT"

_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY_NAME: Final = re2.compile(rf"{_PART}(?:/{_PART})*")


def is_repository_name(text: str) -> bool:
    """Whether ECR accepts the text as a repository name."""
    return MIN_LENGTH <= len(text) <= MAX_LENGTH and _fits(text)


def is_template_prefix(text: str) -> bool:
    """Whether ECR accepts the text as the prefix of a creation template: 1 to 256 characters, one trailing `/` allowed, or `ROOT`."""
    return text == ROOT or (1 <= len(text) <= MAX_LENGTH and _fits(text.removesuffix("/")))


def _fits(text: str) -> bool:
    return text.isascii() and _REPOSITORY_NAME.fullmatch(text) is not None
