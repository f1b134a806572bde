"""Amazon SageMaker AI: the images of what is deployed, and of what can be deployed again at any time."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import DENIALS, code_of
from ecr_governor.adapters.usage.aws_usage import AwsUsage, Unheard, named
from ecr_governor.core.retirement.evidence import Use

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

Key = TypeVar("Key", bound="str | tuple[str, int]")

PAGING: Final[Any] = {"PageSize": 100}
GONE: Final = frozenset({"ResourceNotFound", "ValidationException"})
"""How SageMaker answers for what does not exist; the second may mean something else as well."""
REJECTED: Final = "Rejected"


class SageMakerUsage(AwsUsage["SageMakerClient"]):
    """Endpoints, inference components, models, model packages, and versions of SageMaker images of one account in one Region."""

    source = "sagemaker"
    service = "sagemaker"

    def _uses(self, client: "SageMakerClient") -> Iterator[Use | None]:
        yield from self._of_endpoints(client)
        yield from self._of_inference_components(client)
        yield from self._of_image_versions(client)
        yield from self._of_models(client)

    def _of_endpoints(self, client: "SageMakerClient") -> Iterator[Use | None]:
        def names() -> Iterator[str]:
            for page in client.get_paginator("list_endpoints").paginate(PaginationConfig=PAGING):
                yield from (each["EndpointName"] for each in page["Endpoints"])

        # They run on although their model was deleted, and then tell alone which image that takes.
        for name, endpoint in _described(names, lambda name: client.describe_endpoint(EndpointName=name)):
            for deployed in (endpoint, endpoint.get("PendingDeploymentSummary", {})):
                for variant in (*deployed.get("ProductionVariants", ()), *deployed.get("ShadowProductionVariants", ())):
                    yield from self._of_deployed(f"endpoint/{name}", variant.get("DeployedImages", ()))

    def _of_inference_components(self, client: "SageMakerClient") -> Iterator[Use | None]:
        def names() -> Iterator[str]:
            for page in client.get_paginator("list_inference_components").paginate(PaginationConfig=PAGING):
                yield from (each["InferenceComponentName"] for each in page["InferenceComponents"])

        for name, component in _described(names, lambda name: client.describe_inference_component(InferenceComponentName=name)):
            for specification in (component.get("Specification", {}), *component.get("Specifications", ())):
                if deployed := specification.get("Container", {}).get("DeployedImage"):
                    yield from self._of_deployed(f"inference-component/{name}", [deployed])

    def _of_deployed(self, user: str, images: Iterable[Mapping[str, Any]]) -> Iterator[Use | None]:
        """Tell an image as it was asked for, mostly by tag, and as SageMaker resolved it, by digest."""
        for image in images:
            yield self._use(user, image.get("SpecifiedImage", ""))
            yield self._use(user, image.get("ResolvedImage", ""))

    def _of_image_versions(self, client: "SageMakerClient") -> Iterator[Use | None]:
        def versions() -> Iterator[tuple[str, int]]:
            for page in client.get_paginator("list_images").paginate(PaginationConfig=PAGING):
                for image in page.get("Images", ()):
                    yield from _versions(client, image["ImageName"])

        for (name, number), version in _described(versions, lambda key: client.describe_image_version(ImageName=key[0], Version=key[1])):
            for image in (version.get("BaseImage", ""), version.get("ContainerImage", "")):
                yield self._use(f"image-version/{name}/{number}", image)

    def _of_models(self, client: "SageMakerClient") -> Iterator[Use | None]:
        def names() -> Iterator[str]:
            for page in client.get_paginator("list_models").paginate(PaginationConfig=PAGING):
                yield from (each["ModelName"] for each in page["Models"])

        def arns() -> Iterator[str]:
            # Without a type, only packages without versions are listed, and a registry's have versions.
            for page in client.get_paginator("list_model_packages").paginate(ModelPackageType="Both", PaginationConfig=PAGING):
                yield from (
                    each["ModelPackageArn"] for each in page["ModelPackageSummaryList"] if each.get("ModelApprovalStatus") != REJECTED
                )

        described: set[str] = set()
        for arn, package in _described(arns, lambda arn: client.describe_model_package(ModelPackageName=arn)):
            described.add(arn)
            yield from self._of_package(arn, package)
        for name, model in _described(names, lambda name: client.describe_model(ModelName=name)):
            for container in (*filter(None, [model.get("PrimaryContainer")]), *model.get("Containers", ())):
                image, arn = container.get("Image"), container.get("ModelPackageName")
                if image:
                    yield self._use(f"model/{name}", image)
                elif arn is None:
                    raise Unheard(f"DescribeModel: no image is told of model/{name}")
                elif arn not in described:
                    described.add(arn)
                    yield from self._of_package(arn, _package_of(client, name, arn))

    def _of_package(self, arn: str, package: Mapping[str, Any]) -> Iterator[Use | None]:
        for specification in (package.get("InferenceSpecification", {}), *package.get("AdditionalInferenceSpecifications", ())):
            for container in specification.get("Containers", ()):
                yield self._use(named(arn), container.get("Image", ""))
                if digest := container.get("ImageDigest"):
                    yield Use(named(arn), digest=digest)


def _package_of(client: "SageMakerClient", model: str, arn: str) -> Mapping[str, Any]:
    """Describe a package that is not among those that were listed: rejected by now, deleted, or of another account. Raises Unheard."""
    try:
        return client.describe_model_package(ModelPackageName=arn)
    except ClientError as error:
        if code_of(error) not in GONE | DENIALS:
            raise
        raise Unheard(f"DescribeModelPackage: {code_of(error)} for {arn}, which model/{model} was made of") from error


def _versions(client: "SageMakerClient", image: str) -> Iterator[tuple[str, int]]:
    try:
        for page in client.get_paginator("list_image_versions").paginate(ImageName=image, PaginationConfig=PAGING):
            yield from ((image, each["Version"]) for each in page.get("ImageVersions", ()))
    except ClientError as error:
        # It was deleted since it was listed.
        if code_of(error) != "ResourceNotFound":
            raise


def _described(listed: Callable[[], Iterable[Key]], describe: Callable[[Key], Any]) -> Iterator[tuple[Key, Mapping[str, Any]]]:
    """Describe all that is listed. What SageMaker does not find was deleted meanwhile if it is not listed any more. Raises Unheard."""
    missing: set[Key] = set()
    for key in listed():
        try:
            description = describe(key)
        except ClientError as error:
            if code_of(error) not in GONE:
                raise
            missing.add(key)
        else:
            yield key, description
    if missing and (still := missing.intersection(listed())):
        raise Unheard(f"{min(still)} is listed and cannot be described")
