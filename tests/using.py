"""Puts what uses images into the embedded AWS, as App Runner, Batch, CodeBuild, Inspector and SageMaker describe it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from local.server import EmbeddedAws
from tests.fakes import ACCOUNT, REGION, T0

SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
BATCH = f"arn:aws:batch:{REGION}:{ACCOUNT}"
QUEUE = f"{BATCH}:job-queue/queue"
TIMES = {"CreationTime": T0, "LastModifiedTime": T0}


def put_service(aws: EmbeddedAws, name: str, image: str | None, status: str = "RUNNING", **origin: Any) -> None:
    repository = {"ImageRepository": {"ImageIdentifier": image, "ImageRepositoryType": "ECR"}} if image else {}
    aws.workloads.put(
        "apprunner",
        "service",
        ServiceName=name,
        ServiceId=f"{len(name):032}",
        ServiceArn=f"arn:aws:apprunner:{REGION}:{ACCOUNT}:service/{name}/1",
        CreatedAt=T0,
        UpdatedAt=T0,
        Status=status,
        SourceConfiguration={**repository, **origin},
        InstanceConfiguration={},
        AutoScalingConfigurationSummary={},
        NetworkConfiguration={},
    )


def put_definition(aws: EmbeddedAws, name: str, status: str = "ACTIVE", **properties: Any) -> str:
    arn = f"{BATCH}:job-definition/{name}"
    family, _, revision = name.partition(":")
    aws.workloads.put(
        "batch",
        "definition",
        jobDefinitionName=family,
        jobDefinitionArn=arn,
        revision=int(revision),
        status=status,
        type="container",
        **properties,
    )
    return arn


def put_queue(aws: EmbeddedAws, arn: str = QUEUE, kind: str = "ECS") -> None:
    aws.workloads.put(
        "batch",
        "queue",
        jobQueueName=arn.rpartition("/")[2],
        jobQueueArn=arn,
        state="ENABLED",
        status="VALID",
        priority=1,
        computeEnvironmentOrder=[],
        jobQueueType=kind,
    )


def put_job(aws: EmbeddedAws, definition: str | None, status: str, queue: str = QUEUE) -> None:
    told = {"jobDefinition": definition} if definition else {}
    aws.workloads.put("batch", "job", jobId="job-1", jobName="job", jobQueue=queue, status=status, **told)


def put_project(aws: EmbeddedAws, name: str, image: str | None) -> None:
    environment = {"type": "LINUX_CONTAINER", "computeType": "BUILD_GENERAL1_SMALL", "image": image}
    aws.workloads.put("codebuild", "project", name=name, **({"environment": environment} if image else {}))


def put_on(aws: EmbeddedAws, status: str = "ENABLED") -> None:
    state = {"status": status, "errorCode": "INTERNAL_ERROR", "errorMessage": "none"}
    aws.workloads.put("inspector2", "account", accountId=ACCOUNT, state=state, resourceState={"ec2": state, "ecr": state})


def put_covered(
    aws: EmbeddedAws, image: str, running: int = 0, used_at: datetime | None = None, account: str = ACCOUNT, region: str = REGION
) -> None:
    last = {"lastInUseAt": used_at} if used_at else {}
    aws.workloads.put(
        "inspector2",
        "resource",
        resourceId=f"arn:aws:ecr:{region}:{account}:repository/{image}",
        resourceType="AWS_ECR_CONTAINER_IMAGE",
        accountId=ACCOUNT,
        scanType="PACKAGE",
        resourceMetadata={"ecrImage": {"tags": [], "inUseCount": running, **last}},
    )


def put_model(aws: EmbeddedAws, name: str, *containers: Mapping[str, Any]) -> None:
    held = {"PrimaryContainer": containers[0]} if len(containers) == 1 else {"Containers": list(containers)}
    aws.workloads.put("sagemaker", "model", ModelName=name, ModelArn=f"{SAGEMAKER}:model/{name}", CreationTime=T0, **held)


def put_package(aws: EmbeddedAws, name: str, image: str, approval: str | None = None, **further: Any) -> str:
    arn = f"{SAGEMAKER}:model-package/{name}"
    approved = {"ModelApprovalStatus": approval, "ModelPackageVersion": 1} if approval else {}
    aws.workloads.put(
        "sagemaker",
        "package",
        ModelPackageName=name.partition("/")[0],
        ModelPackageArn=arn,
        CreationTime=T0,
        ModelPackageStatus="Completed",
        ModelPackageStatusDetails={"ValidationStatuses": []},
        InferenceSpecification={"Containers": [{"Image": image}]},
        **approved,
        **further,
    )
    return arn


def put_endpoint(aws: EmbeddedAws, name: str, **held: Any) -> None:
    aws.workloads.put(
        "sagemaker", "endpoint", EndpointName=name, EndpointArn=f"{SAGEMAKER}:endpoint/{name}", EndpointStatus="InService", **TIMES, **held
    )


def variants(*images: Mapping[str, str]) -> list[Mapping[str, Any]]:
    return [{"VariantName": "a", "DeployedImages": list(images)}]


def put_component(aws: EmbeddedAws, name: str, **held: Any) -> None:
    aws.workloads.put(
        "sagemaker",
        "component",
        InferenceComponentName=name,
        InferenceComponentArn=f"{SAGEMAKER}:inference-component/{name}",
        EndpointArn=f"{SAGEMAKER}:endpoint/e",
        EndpointName="e",
        VariantName="a",
        **TIMES,
        **held,
    )


def put_image(aws: EmbeddedAws, name: str) -> None:
    arn = f"{SAGEMAKER}:image/{name}"
    aws.workloads.put("sagemaker", "image", ImageName=name, ImageArn=arn, ImageStatus="CREATED", **TIMES)


def put_version(aws: EmbeddedAws, name: str, number: int, **images: str) -> None:
    aws.workloads.put(
        "sagemaker",
        "version",
        ImageName=name,
        ImageArn=f"{SAGEMAKER}:image/{name}",
        ImageVersionArn=f"{SAGEMAKER}:image-version/{name}/{number}",
        ImageVersionStatus="CREATED",
        Version=number,
        **TIMES,
        **images,
    )


def put_everything(aws: EmbeddedAws, image: str, covered: str) -> None:
    """One thing of each kind that names an image, so that every operation of every source is called; `covered` is `NAME/DIGEST`."""
    put_service(aws, "api-1", image)
    put_definition(aws, "job:1", containerProperties={"image": image})
    put_queue(aws)
    put_job(aws, put_definition(aws, "job:0", "INACTIVE", containerProperties={"image": image}), "RUNNABLE")
    put_project(aws, "build", image)
    put_on(aws)
    put_covered(aws, covered, running=1)
    put_model(aws, "m", {"Image": image})
    put_package(aws, "p", image)
    put_endpoint(aws, "e", ProductionVariants=variants({"SpecifiedImage": image}))
    put_component(aws, "c", Specification={"Container": {"DeployedImage": {"SpecifiedImage": image}}})
    put_image(aws, "i")
    put_version(aws, "i", 1, BaseImage=image)
