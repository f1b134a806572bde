"""By which template ECR creates a repository of a name."""

import pytest

from ecr_governor.core.templates.applying import Applying, applying
from ecr_governor.core.templates.template import AppliedFor, Template

PUSH, CACHE, COPY = AppliedFor
TAGS = {"team": "x"}


def template(prefix: str, *ways: AppliedFor, role: str | None = None, tags: dict[str, str] | None = None) -> Template:
    return Template(prefix, frozenset(ways), resource_tags=tags or {}, custom_role_arn=role)


REGISTRY = [
    template("ROOT", COPY),
    template("payments", PUSH),
    template("payments/web/", PUSH, CACHE),
    template("payments/web/mirror", CACHE),
    template("tagged", PUSH, CACHE, tags=TAGS),
    template("with-role", PUSH, tags=TAGS, role="arn:aws:iam::123456789012:role/r"),
]


def key(template: Template | None) -> str | None:
    return None if template is None else template.key


@pytest.mark.parametrize(
    ("name", "way", "expected", "creates"),
    [
        ("payments/api", PUSH, ("payments", None), True),
        ("payments/web/shop", PUSH, ("payments/web", None), True),
        ("payments/webshop", PUSH, ("payments", None), True),
        ("payments", PUSH, (None, None), False),
        ("payments-old/api", PUSH, (None, None), False),
        ("search/api", PUSH, (None, None), False),
        ("payments/web/mirror/nginx", PUSH, ("payments/web", "payments/web/mirror"), False),
        ("payments/web/mirror/nginx", CACHE, ("payments/web/mirror", None), True),
        ("payments/api", COPY, ("ROOT", "payments"), False),
        ("payments", COPY, ("ROOT", None), True),
        ("payments/api", CACHE, (None, None), True),
        ("tagged/api", PUSH, ("tagged", None), False),
        ("tagged/api", CACHE, ("tagged", None), False),
        ("with-role/api", PUSH, ("with-role", None), True),
    ],
)
def test_the_longest_prefix_wins_by_whole_path_parts(
    name: str, way: AppliedFor, expected: tuple[str | None, str | None], creates: bool
) -> None:
    found = applying(REGISTRY, name, way)
    assert (key(found.template), key(found.hidden_by)) == expected
    assert found.creates is creates


def test_without_any_template_only_a_push_creates_nothing() -> None:
    assert [applying([], "payments/api", way) for way in AppliedFor] == [Applying(way, None) for way in AppliedFor]
    assert [applying([], "payments/api", way).creates for way in AppliedFor] == [False, True, True]
