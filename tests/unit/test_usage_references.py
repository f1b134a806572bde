"""What a reference to an image proves."""

import pytest

from ecr_governor.adapters.usage.references import parsed, tells_which, use_of
from ecr_governor.core.retirement.evidence import Use
from tests.fakes import ACCOUNT, REGION

DIGEST = "sha256:" + "0a" * 32
OURS = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
HOSTS = [
    OURS,
    f"{OURS}.cn",
    f"{OURS}:443",
    OURS.upper(),
    f"{ACCOUNT}.dkr.ecr-fips.{REGION}.amazonaws.com",
    f"{ACCOUNT}.dkr-ecr.{REGION}.on.aws",
    f"{ACCOUNT}.dkr-ecr-fips.{REGION}.on.aws",
]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("scheme", ["", "docker://", "docker-pullable://"])
@pytest.mark.parametrize(
    ("rest", "tag", "digest"),
    [
        ("payments/api", None, None),
        ("payments/api:v1", "v1", None),
        (f"payments/api@{DIGEST}", None, DIGEST),
        (f"payments/api:v1@{DIGEST}", "v1", DIGEST),
    ],
)
def test_every_form_of_our_own_registry_is_use_of_a_repository(
    host: str, scheme: str, rest: str, tag: str | None, digest: str | None
) -> None:
    assert use_of("x", f" {scheme}{host}/{rest}\n", ACCOUNT, REGION) == Use("x", "payments/api", digest, tag)


@pytest.mark.parametrize(
    "elsewhere",
    [
        f"210987654321.dkr.ecr.{REGION}.amazonaws.com/payments/api",
        f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/payments/api",
        f"x{OURS}/payments/api",
        f"{ACCOUNT}.dkr.example.{REGION}.amazonaws.com/payments/api",
        "public.ecr.aws/payments/api",
        "payments/api",
        "nginx",
    ],
)
def test_in_another_registry_only_a_digest_counts(elsewhere: str) -> None:
    assert use_of("x", elsewhere, ACCOUNT, REGION) is None
    assert use_of("x", f"{elsewhere}:v1", ACCOUNT, REGION) is None
    assert use_of("x", f"{elsewhere}:v1@{DIGEST}", ACCOUNT, REGION) == Use("x", digest=DIGEST)


def test_a_digest_alone_is_one() -> None:
    assert use_of("x", DIGEST, ACCOUNT, REGION) == Use("x", digest=DIGEST)


@pytest.mark.parametrize("damaged", ["", "@", "/", ":", "://", "@sha256:12", f"{OURS}", f"{OURS}/", f"{OURS}/:v1", "sha256:" + "A" * 64])
def test_what_is_no_reference_proves_nothing(damaged: str) -> None:
    assert use_of("x", damaged, ACCOUNT, REGION) is None


@pytest.mark.parametrize("digest", ["sha256:12", "md5:" + "0" * 64, DIGEST + "0", DIGEST.upper()])
def test_a_damaged_digest_does_not_take_the_repository_away(digest: str) -> None:
    assert use_of("x", f"{OURS}/payments/api@{digest}", ACCOUNT, REGION) == Use("x", "payments/api")


def test_a_long_hostile_text_is_read_at_once() -> None:
    assert parsed("a." * 500_000 + "!").account == ""


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        *((f"{scheme}{host}/payments/api{rest}", True) for host in HOSTS for scheme in ("", "docker://") for rest in ("", ":v1")),
        ("docker.io/library/nginx:1.25", True),
        ("localhost/x", True),
        ("registry:5000/x", True),
        (DIGEST, True),
        (f"nginx@{DIGEST}", True),
        ("nginx", False),
        ("payments/api:v1", False),
        ("containerd://payments/api", False),
        ("docker.io/", False),
        (OURS, False),
        (f"{OURS}/", False),
        (f"{OURS}/Payments/API", False),
        (f"{OURS}/payments//api:v1", False),
        (f"{OURS}/a", False),
        ("", False),
    ],
)
def test_what_names_no_registry_does_not_tell_which_image_it_means(text: str, tells: bool) -> None:
    assert tells_which(text) is tells
