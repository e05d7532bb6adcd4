"""What an operator reads in a run: a table that fits its cell, and what to do next."""

from uuid import UUID

from thirdsentry_pipeline.assets.evidence_results import failure_sentence, results_table
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType, ReadStatus
from thirdsentry_pipeline.operations.sync_results import (
    ConnectionSync,
    OrganizationSync,
    SyncStatus,
    TypeResult,
)

ORGANIZATION = "66f0000000000000000000b2"
RUN_ID = UUID("57056e13-2f85-45a7-af43-eabcf42454e7")


def connection(account_id="333333333333", error_code=None, evidence=None):
    return ConnectionSync(
        connection_id=UUID(int=1),
        account_id=account_id,
        run_id=RUN_ID,
        status=SyncStatus.FAILED,
        error_code=error_code,
        evidence=evidence or {},
    )


def test_table_names_a_few_regions_and_counts_the_others():
    unread = ("ap-south-1", "eu-west-1", "us-east-1", "us-east-2", "us-west-2")
    result = TypeResult(
        read_status=ReadStatus.DENIED,
        verdict=None,
        fingerprint=None,
        is_new=False,
        error_code=ErrorCode.DENIED,
        regions_unread=unread,
    )
    one = connection(evidence={EvidenceType.CLOUDTRAIL_LOGGING: result})
    table = results_table([(one, result), (one, None)])
    assert "| ap-south-1, eu-west-1, us-east-1 and 2 more |" in table
    assert "| 57056e13 |" in table
    assert "us-west-2" not in table


def test_failed_run_says_what_to_do_next_once():
    closed = [
        connection(account_id, ErrorCode.ASSUME_ROLE_DENIED)
        for account_id in ("111111111111", "222222222222")
    ]
    sync = OrganizationSync(ORGANIZATION, SyncStatus.FAILED, closed)
    sentence = failure_sentence(ORGANIZATION, sync)
    assert "account 111111111111 failed (assume_role_denied)" in sentence
    assert sentence.count("`thirdsentry reauth`") == 1
    assert sentence.endswith("then run `thirdsentry reauth`.")
