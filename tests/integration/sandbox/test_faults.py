"""Faults hit what they name, as often as they say, in the way they say."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError

pytestmark = pytest.mark.integration


@pytest.fixture
def fault(account):
    """Injects a fault into the test's own account."""

    def inject(**wanted):
        return account.sandbox.admin.inject_fault(account.account_id, **wanted)

    return inject


def test_a_fault_without_a_count_lasts_until_cleared(account, fault):
    client = account.session("guardduty")
    fault(action="guardduty:*", error_code="AccessDeniedException")
    for _ in range(3):
        with pytest.raises(client.exceptions.AccessDeniedException):
            client.list_detectors()
    account.sandbox.admin.clear_faults()
    assert client.list_detectors()["DetectorIds"] == []


def test_a_fault_hits_its_own_account_region_and_action_alone(account, fault):
    fault(region="eu-west-1", action="guardduty:ListDetectors", error_code="InternalError")
    assert account.session("guardduty", "us-east-1").list_detectors()
    assert account.session("cloudtrail", "eu-west-1").describe_trails()
    with pytest.raises(ClientError):
        account.session("guardduty", "eu-west-1").list_detectors()


def test_a_fault_ends_after_its_count_and_begins_after_its_skip(account, fault):
    client = account.session("iam")
    fault(action="iam:ListUsers", error_code="Throttling", skip=1, count=2)
    outcomes = []
    for _ in range(4):
        try:
            client.list_users()
            outcomes.append("ok")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])
    assert outcomes == ["ok", "Throttling", "Throttling", "ok"]


def test_the_s3_control_call_goes_by_its_iam_name(account, fault):
    fault(action="s3:GetAccountPublicAccessBlock", error_code="AccessDenied")
    with pytest.raises(ClientError) as failure:
        account.session("s3control").get_public_access_block(AccountId=account.account_id)
    assert failure.value.response["Error"]["Code"] == "AccessDenied"


def test_assume_role_fails_for_the_account_of_the_role(account, fault):
    fault(action="sts:AssumeRole", error_code="AccessDenied", count=1)
    with pytest.raises(ClientError):
        account.assume()
    assert account.assume()


def test_an_error_carries_the_message_and_status_that_were_asked_for(account, fault):
    fault(
        action="iam:ListUsers",
        error_code="AccessDenied",
        message="… with an explicit deny in a service control policy",
        http_status=418,
    )
    with pytest.raises(ClientError, match="service control policy") as failure:
        account.session("iam").list_users()
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 418


def test_seeding_is_never_hit(account, fault):
    fault(error_code="InternalFailure")
    assert account.root("iam").list_users()["Users"] == []


def test_latency_delays_the_answer(account, fault):
    client = account.session("iam")
    fault(action="iam:ListUsers", effect="latency", seconds=0.3, count=1)
    started = time.monotonic()
    client.list_users()
    assert time.monotonic() - started >= 0.3


def test_a_reset_is_a_connection_that_went_away(account, fault):
    client = account.session("iam")
    fault(action="iam:ListUsers", effect="reset", count=1)
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        client.list_users()
    assert client.list_users()["Users"] == []


def test_a_hanging_call_ends_in_a_reset_after_its_seconds(account, fault):
    client = account.session("iam")
    fault(action="iam:ListUsers", effect="hang", seconds=0.2, count=1)
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        client.list_users()


def test_a_hanging_call_is_let_go_when_faults_are_cleared(account, fault):
    client = account.session("iam")
    fault(action="iam:ListUsers", effect="hang")
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(client.list_users)
        wanted = {"account_id": account.account_id, "action": "iam:ListUsers"}
        while not account.sandbox.admin.calls(**wanted):
            pass
        account.sandbox.admin.clear_faults()
        assert isinstance(hanging.exception(), (ConnectionClosedError, HTTPClientError))


def test_a_truncated_xml_body_can_not_be_parsed(account, fault):
    client = account.session("iam")
    fault(action="iam:ListUsers", effect="truncate", count=1)
    with pytest.raises((ResponseStreamingError, ResponseParserError, HTTPClientError)):
        client.list_users()


def test_a_truncated_json_body_reaches_the_reader_without_its_members(account, fault):
    """That is botocore's doing: a reader who takes a missing list for an empty one is wrong."""
    client = account.session("guardduty")
    fault(action="guardduty:ListDetectors", effect="truncate", count=1)
    assert "DetectorIds" not in client.list_detectors()


def test_a_malformed_body_can_not_be_parsed(account, fault):
    client = account.session("iam")
    fault(action="iam:ListUsers", effect="malformed", count=1)
    with pytest.raises(ResponseParserError):
        client.list_users()


def test_a_session_can_end_between_two_pages(account, fault):
    for number in range(3):
        account.root("iam").create_user(UserName=f"user-{number}")
    client = account.session("iam")
    fault(action="iam:ListUsers", effect="expire_session", skip=1)
    pages = iter(client.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 1}))
    assert next(pages)
    with pytest.raises(ClientError) as failure:
        next(pages)
    assert failure.value.response["Error"]["Code"] == "ExpiredToken"
    account.sandbox.admin.clear_faults()
    with pytest.raises(ClientError):
        client.get_account_summary()


def test_a_fault_that_makes_no_sense_is_refused(account, fault):
    with pytest.raises(ValueError, match="effect must be one of"):
        fault(effect="explode")
    with pytest.raises(ValueError, match="unexpected keyword"):
        fault(colour="red")


def test_calls_are_recorded_with_role_and_outcome(account, fault):
    credentials = account.assume()
    fault(action="iam:ListUsers", error_code="AccessDenied", count=1)
    with pytest.raises(ClientError):
        account.session("iam", credentials=credentials).list_users()
    recorded = account.sandbox.admin.calls(account_id=account.account_id, action="iam:ListUsers")
    assert [(one["status"], one["error_code"], one["role_arn"]) for one in recorded] == [
        (403, "AccessDenied", account.role_arn)
    ]
    assumed = account.sandbox.admin.calls(account_id=account.account_id, action="sts:AssumeRole")
    assert len(assumed) == 1
