"""Where the store of reports is put together, by whose links reports are read."""

from botocore.config import Config

from ecr_governor.adapters.aws import CLIENT_CONFIG
from ecr_governor.adapters.report_store import S3ReportStore
from ecr_governor.bootstrap.parts import session


def report_store(bucket: str) -> S3ReportStore:
    """The reports in a bucket."""
    signing = session().create_client("s3", config=CLIENT_CONFIG.merge(Config(signature_version="s3v4")))
    return S3ReportStore(signing, bucket)
