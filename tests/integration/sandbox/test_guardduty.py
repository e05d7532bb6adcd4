"""GuardDuty answers what moto leaves out: findings, their filter, pages and batches."""

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.integration

HIGH_AND_OPEN = {
    "Criterion": {
        "severity": {"GreaterThanOrEqual": 7},
        "service.archived": {"Equals": ["false"]},
    }
}


@pytest.fixture
def detector_id(account):
    return account.root("guardduty").create_detector(Enable=True)["DetectorId"]


def all_ids(client, detector_id, criteria):
    pages = client.get_paginator("list_findings").paginate(
        DetectorId=detector_id, FindingCriteria=criteria
    )
    return [page["FindingIds"] for page in pages]


def test_findings_are_filtered_by_severity_and_archive_and_paged_by_50(account, detector_id):
    wishes = [{"severity": value} for value in (6.9, 7.0, 8.9, 9.5)] * 40
    wishes += [{"severity": 9.0, "archived": True}]
    account.sandbox.admin.add_findings(account.account_id, "us-east-1", wishes)
    client = account.session("guardduty")
    pages = all_ids(client, detector_id, HIGH_AND_OPEN)
    assert [len(page) for page in pages] == [50, 50, 20]
    ids = [one for page in pages for one in page]
    assert len(set(ids)) == 120
    findings = client.get_findings(DetectorId=detector_id, FindingIds=ids[:50])["Findings"]
    assert len(findings) == 50
    assert {one["AccountId"] for one in findings} == {account.account_id}
    assert min(one["Severity"] for one in findings) >= 7
    assert findings[0]["Service"]["EventFirstSeen"] == "2026-01-05T09:00:00.000Z"


def test_more_than_50_findings_at_once_are_refused(account, detector_id):
    with pytest.raises(ClientError) as failure:
        account.session("guardduty").get_findings(
            DetectorId=detector_id, FindingIds=[str(n) for n in range(51)]
        )
    assert failure.value.response["Error"]["Code"] == "BadRequestException"


def test_archiving_takes_a_finding_off_the_list(account, detector_id):
    ids = account.sandbox.admin.add_findings(account.account_id, "us-east-1", [{}, {}])
    client = account.root("guardduty")
    client.archive_findings(DetectorId=detector_id, FindingIds=ids[:1])
    assert all_ids(client, detector_id, HIGH_AND_OPEN) == [ids[1:]]


def test_sample_findings_are_marked_as_samples(account, detector_id):
    account.root("guardduty").create_sample_findings(DetectorId=detector_id)
    client = account.session("guardduty")
    ids = all_ids(client, detector_id, HIGH_AND_OPEN)[0]
    finding = client.get_findings(DetectorId=detector_id, FindingIds=ids[:1])["Findings"][0]
    assert finding["Service"]["AdditionalInfo"]["Value"] == '{"sample":true}'
    assert finding["Title"].startswith("[SAMPLE]")


def test_a_finding_may_belong_to_a_member_account(account, detector_id):
    wish = {"account_id": "700888888888", "id": "member-finding"}
    account.sandbox.admin.add_findings(account.account_id, "us-east-1", [wish])
    client = account.session("guardduty")
    finding = client.get_findings(DetectorId=detector_id, FindingIds=["member-finding"])
    assert finding["Findings"][0]["AccountId"] == "700888888888"


def test_a_suspended_detector_is_still_listed(account, detector_id):
    account.root("guardduty").update_detector(DetectorId=detector_id, Enable=False)
    client = account.session("guardduty")
    assert client.list_detectors()["DetectorIds"] == [detector_id]
    assert client.get_detector(DetectorId=detector_id)["Status"] == "DISABLED"


def test_a_region_has_one_detector_whose_id_is_always_the_same(account, detector_id):
    client = account.root("guardduty")
    with pytest.raises(ClientError, match="already exists"):
        client.create_detector(Enable=True)
    client.delete_detector(DetectorId=detector_id)
    assert client.create_detector(Enable=True)["DetectorId"] == detector_id


def test_the_administrator_is_absent_until_set(account, detector_id):
    client = account.session("guardduty")
    assert "Administrator" not in client.get_administrator_account(DetectorId=detector_id)
    account.sandbox.admin.set_guardduty_administrator(
        account.account_id, "us-east-1", "700777777777"
    )
    answer = client.get_administrator_account(DetectorId=detector_id)
    assert answer["Administrator"]["AccountId"] == "700777777777"


def test_an_unknown_detector_is_a_bad_request(account):
    with pytest.raises(ClientError) as failure:
        account.session("guardduty").list_findings(DetectorId="f" * 32)
    assert failure.value.response["Error"]["Code"] == "BadRequestException"
