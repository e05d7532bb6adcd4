import pytest

from tests.unit.aws.canned import ACCOUNT, xml
from thirdsentry_pipeline.aws import iam
from thirdsentry_pipeline.aws.credential_report import Wait
from thirdsentry_pipeline.aws.iam import MfaReads
from thirdsentry_pipeline.aws.reading import attempt
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.facts import (
    AccountSummary,
    IamUser,
    MfaCoverageFacts,
    PasswordPolicy,
    Unread,
)


def summary(**values):
    entries = "".join(
        f"<entry><key>{key}</key><value>{value}</value></entry>" for key, value in values.items()
    )
    return xml("GetAccountSummary", f"<SummaryMap>{entries}</SummaryMap>")


def test_the_summary_tells_what_it_tells_and_no_more(aws, session):
    aws.answer(
        "iam.GetAccountSummary", summary(AccountMFAEnabled=1, AccountPasswordPresent=0, Users=7)
    )
    assert iam.read_summary(session) == AccountSummary(
        mfa_enabled=True, password_present=False, access_keys_present=None
    )


@pytest.mark.parametrize(
    "body",
    [
        summary(AccountMFAEnabled=2),
        summary(AccountMFAEnabled=-1),
        summary(AccountMFAEnabled="yes"),
        summary(AccountMFAEnabled=2**63),
        xml("GetAccountSummary", ""),
        "<html/>",
        "",
        "<",
    ],
)
def test_a_summary_that_makes_no_sense_is_malformed(aws, session, body):
    aws.answer("iam.GetAccountSummary", body)
    outcome = attempt(iam.GET_SUMMARY, lambda: iam.read_summary(session))
    assert outcome == Unread(ErrorCode.MALFORMED, iam.GET_SUMMARY)


def policy(inner):
    return xml("GetAccountPasswordPolicy", f"<PasswordPolicy>{inner}</PasswordPolicy>")


def test_members_the_policy_leaves_out_stay_unknown(aws, session):
    aws.answer(
        "iam.GetAccountPasswordPolicy",
        policy(
            "<MinimumPasswordLength>14</MinimumPasswordLength>"
            "<RequireSymbols>true</RequireSymbols><ExpirePasswords>false</ExpirePasswords>"
        ),
    )
    assert iam.read_password_policy(session) == PasswordPolicy(
        minimum_length=14, require_symbols=True
    )


def test_no_password_policy_is_an_answer(aws, session):
    aws.deny("iam.GetAccountPasswordPolicy", "NoSuchEntity", status=404)
    assert iam.read_password_policy(session) is None


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchEntityish", "ServiceFailure"])
def test_no_other_error_stands_for_no_password_policy(aws, session, code):
    aws.deny("iam.GetAccountPasswordPolicy", code)
    outcome = attempt(iam.GET_PASSWORD_POLICY, lambda: iam.read_password_policy(session))
    assert isinstance(outcome, Unread)


def test_a_policy_missing_from_the_answer_is_malformed(aws, session):
    aws.answer("iam.GetAccountPasswordPolicy", xml("GetAccountPasswordPolicy", ""))
    outcome = attempt(iam.GET_PASSWORD_POLICY, lambda: iam.read_password_policy(session))
    assert outcome == Unread(ErrorCode.MALFORMED, iam.GET_PASSWORD_POLICY)


def devices(*members, more=None):
    inner = "".join(f"<member>{member}</member>" for member in members)
    page = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
    page += f"<Marker>{more}</Marker>" if more else ""
    return xml("ListVirtualMFADevices", f"<VirtualMFADevices>{inner}</VirtualMFADevices>{page}")


def device(serial, arn=None):
    user = f"<User><Arn>{arn}</Arn></User>" if arn else ""
    return f"<SerialNumber>{serial}</SerialNumber>{user}"


def test_the_owners_of_virtual_devices_come_from_every_page(aws, session):
    aws.answer(
        "iam.ListVirtualMFADevices",
        devices(device("s1", "arn:aws:iam::1:user/groot"), more="next"),
        devices(device("s2", f"arn:aws:iam::{ACCOUNT}:root"), device("s3")),
    )
    assert iam.read_virtual_mfa_users(session) == (
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::1:user/groot",
    )


@pytest.mark.parametrize(
    "pages",
    [
        [devices(device("s1"), device("s1"))],
        [devices(device("s1"), more="m"), devices(device("s1"))],
        [devices(more="m"), devices(more="m")],
        [xml("ListVirtualMFADevices", "<IsTruncated>false</IsTruncated>")],
    ],
    ids=["repeated", "repeated-on-a-later-page", "loop", "no-list"],
)
def test_a_list_of_devices_that_may_be_short_is_malformed(aws, session, pages):
    aws.answer("iam.ListVirtualMFADevices", *pages)
    outcome = attempt(iam.LIST_VIRTUAL_MFA, lambda: iam.read_virtual_mfa_users(session))
    assert outcome == Unread(ErrorCode.MALFORMED, iam.LIST_VIRTUAL_MFA)


# --- users without the report


def users(*names, more=None):
    inner = "".join(f"<member><UserName>{name}</UserName></member>" for name in names)
    page = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
    page += f"<Marker>{more}</Marker>" if more else ""
    return xml("ListUsers", f"<Users>{inner}</Users>{page}")


PROFILE = xml("GetLoginProfile", "<LoginProfile><UserName>a</UserName></LoginProfile>")


def mfa_devices(*serials, more=None):
    inner = "".join(f"<member><SerialNumber>{one}</SerialNumber></member>" for one in serials)
    page = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
    page += f"<Marker>{more}</Marker>" if more else ""
    return xml("ListMFADevices", f"<MFADevices>{inner}</MFADevices>{page}")


def coverage_without_report(session, reads):
    mfa = MfaReads(session, reads, root=False, coverage=True, wait=Wait())
    reads.finish()
    return mfa.coverage_facts()


DENIED = Unread(ErrorCode.DENIED, "iam:GenerateCredentialReport")


def test_a_denied_report_is_made_up_for_user_by_user(aws, session, reads):
    aws.deny("iam.GenerateCredentialReport", "AccessDenied")
    aws.answer("iam.ListUsers", users("a", more="next"), users("b"))
    aws.answer("iam.GetLoginProfile", PROFILE)
    aws.answer(
        "iam.ListMFADevices", mfa_devices("s1", more="next"), mfa_devices("s2"), mfa_devices()
    )
    assert coverage_without_report(session, reads) == MfaCoverageFacts(
        DENIED,
        (
            IamUser("a", has_password=True, has_mfa=True),
            IamUser("b", has_password=True, has_mfa=False),
        ),
    )


def test_a_user_without_password_is_asked_for_no_device(aws, session, reads):
    aws.deny("iam.GenerateCredentialReport", "AccessDenied")
    aws.answer("iam.ListUsers", users("a"))
    aws.deny("iam.GetLoginProfile", "NoSuchEntity", status=404)
    assert coverage_without_report(session, reads).fallback_users == (
        IamUser("a", has_password=False, has_mfa=False),
    )
    assert not aws.called("iam.ListMFADevices")


def test_one_user_that_could_not_be_read_leaves_the_users_unread(aws, session, reads):
    aws.deny("iam.GenerateCredentialReport", "AccessDenied")
    aws.answer("iam.ListUsers", users("a", "b"))
    aws.answer("iam.GetLoginProfile", PROFILE)
    aws.answer("iam.ListMFADevices", mfa_devices("s"))
    aws.deny("iam.ListMFADevices", "AccessDenied")
    assert coverage_without_report(session, reads).fallback_users == Unread(
        ErrorCode.DENIED, "iam:ListMFADevices"
    )


def test_a_user_deleted_in_between_is_unread(aws, session, reads):
    aws.deny("iam.GenerateCredentialReport", "AccessDenied")
    aws.answer("iam.ListUsers", users("a"))
    aws.answer("iam.GetLoginProfile", PROFILE)
    aws.deny("iam.ListMFADevices", "NoSuchEntity", status=404)
    assert coverage_without_report(session, reads).fallback_users == Unread(
        ErrorCode.TRANSIENT, "iam:ListMFADevices"
    )


def test_a_repeated_user_leaves_the_users_unread(aws, session, reads):
    aws.deny("iam.GenerateCredentialReport", "AccessDenied")
    aws.answer("iam.ListUsers", users("a", more="next"), users("a"))
    assert coverage_without_report(session, reads).fallback_users == Unread(
        ErrorCode.MALFORMED, "iam:ListUsers"
    )


def test_more_users_than_the_cap_are_unread(aws, session, monkeypatch, reads):
    monkeypatch.setattr(iam, "_MOST_USERS", 1)
    aws.deny("iam.GenerateCredentialReport", "AccessDenied")
    aws.answer("iam.ListUsers", users("a", "b"))
    assert coverage_without_report(session, reads).fallback_users == Unread(
        ErrorCode.MALFORMED, "iam:ListUsers"
    )


def test_only_a_denied_report_is_made_up_for(aws, session, reads):
    aws.deny("iam.GenerateCredentialReport", "Throttling", status=400)
    facts = coverage_without_report(session, reads)
    assert facts == MfaCoverageFacts(
        Unread(ErrorCode.THROTTLED, "iam:GenerateCredentialReport"), None
    )
    assert not aws.called("iam.ListUsers")
