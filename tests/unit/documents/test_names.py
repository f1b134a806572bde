"""The names that ECR accepts, held against the pattern that botocore carries."""

import re

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_governor.core.documents.names import is_repository_name, is_template_prefix


@pytest.mark.parametrize(
    ("name", "repository", "prefix"),
    [
        ("a", False, True),
        ("ab", True, True),
        ("1a", True, True),
        ("a/b", True, True),
        ("a//b", False, False),
        ("/a", False, False),
        ("ab/", False, True),
        ("ab//", False, False),
        ("a__b", True, True),
        ("a___b", False, False),
        ("a----b", True, True),
        ("a.b", True, True),
        ("a..b", False, False),
        ("a._b", False, False),
        ("-ab", False, False),
        ("ab-", False, False),
        ("Ab", False, False),
        ("ROOT", False, True),
        ("ROOT/", False, False),
        ("a" * 256, True, True),
        ("a" * 257, False, False),
        ("", False, False),
        ("/", False, False),
        ("äb", False, False),
        ("ab\n", False, False),
        ("ab\ud800", False, False),
    ],
)
def test_names_and_prefixes(name: str, repository: bool, prefix: bool) -> None:
    assert is_repository_name(name) is repository
    assert is_template_prefix(name) is prefix


MODEL = boto3.client("ecr", region_name="eu-west-1").meta.service_model


@given(st.one_of(st.text(alphabet="a1._-/A", max_size=10), st.sampled_from(["ROOT", "ROOT/", "a/ROOT"])))
def test_names_are_judged_as_botocores_model_has_it(name: str) -> None:
    shape = MODEL.shape_for("RepositoryName").metadata
    prefix = MODEL.shape_for("Prefix").metadata

    def fits(metadata: dict[str, object]) -> bool:
        pattern = re.compile(str(metadata["pattern"]))
        return int(str(metadata["min"])) <= len(name) <= int(str(metadata["max"])) and pattern.fullmatch(name) is not None

    assert is_repository_name(name) is fits(shape)
    assert is_template_prefix(name) is fits(prefix)
