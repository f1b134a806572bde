"""CloudTrail's record of a creation on push is unconfirmed: the system must give the same answer for each plausible form."""

import pytest

from cli.demo.stage import Stage
from cli.embedded import running
from cli.up import RECORDS
from ecr_governor.core.origin import Origin
from tests.integration.conftest import POLICY


@pytest.mark.parametrize("form", RECORDS)
def test_every_form_of_the_record_leads_to_the_same_origin_and_pusher(form: str) -> None:
    with running(policy=POLICY.read_bytes(), create_on_push_record=form) as aws:
        stage = Stage(aws)
        stage.client("ecr").create_repository_creation_template(prefix="payments", appliedFor=["CREATE_ON_PUSH"])
        stage.push("payments/api:v1.0.0", "ci-payments/build-1")
        stage.settle()
        record = stage.record("payments/api")
        assert record.provenance.origin is Origin.CREATE_ON_PUSH
        assert record.provenance.pusher is not None
        assert record.provenance.pusher.name == "ci-payments/build-1"
        assert len(record.provenance.evidence) >= 3
        assert stage.open_findings("payments/api") == {}
