"""The stub's answers of STS and IAM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import stub_accounts as accounts
from benchmarks.stub_wire import Reply, Request, StubError, query_reply

if TYPE_CHECKING:
    from benchmarks.stub_accounts import StubSettings
    from benchmarks.stub_wire import Handler

_EXPIRES = "2099-01-01T00:00:00Z"
_STS = "https://sts.amazonaws.com/doc/2011-06-15/"
_IAM = "https://iam.amazonaws.com/doc/2010-05-08/"


def _assume_role(request: Request, _: StubSettings) -> Reply:
    form = request.form
    role = form["RoleArn"]
    account = role.split(":")[4]
    if form.get("ExternalId") != accounts.external_id_of(account):
        raise StubError(403, "AccessDenied", "is not authorized to perform: sts:AssumeRole")
    session = f"arn:aws:sts::{account}:assumed-role/ThirdSentry/{form['RoleSessionName']}"
    result = (
        f"<Credentials><AccessKeyId>{accounts.access_key_of(account)}</AccessKeyId>"
        f"<SecretAccessKey>secret-of-{account}</SecretAccessKey>"
        f"<SessionToken>token-of-{account}</SessionToken><Expiration>{_EXPIRES}</Expiration>"
        f"</Credentials><AssumedRoleUser><AssumedRoleId>AROA:{account}</AssumedRoleId>"
        f"<Arn>{session}</Arn></AssumedRoleUser>"
    )
    return query_reply("AssumeRole", _STS, result)


def _caller(request: Request, _: StubSettings) -> Reply:
    arn = f"arn:aws:sts::{request.account_id}:assumed-role/ThirdSentry/stub"
    result = f"<Arn>{arn}</Arn><UserId>AROA:stub</UserId><Account>{request.account_id}</Account>"
    return query_reply("GetCallerIdentity", _STS, result)


def _generate_report(_: Request, __: StubSettings) -> Reply:
    return query_reply("GenerateCredentialReport", _IAM, "<State>COMPLETE</State>")


def _get_report(request: Request, settings: StubSettings) -> Reply:
    content = accounts.credential_report(
        request.account_id, settings.users, settings.users_without_mfa_every
    )
    result = (
        f"<Content>{content}</Content><ReportFormat>text/csv</ReportFormat>"
        f"<GeneratedTime>{accounts.GENERATED_AT}</GeneratedTime>"
    )
    return query_reply("GetCredentialReport", _IAM, result)


def _summary(request: Request, settings: StubSettings) -> Reply:
    numbers = {
        "AccountMFAEnabled": int(accounts.root_has_mfa(request.account_id)),
        "AccountPasswordPresent": 1,
        "AccountAccessKeysPresent": 0,
        "Users": settings.users,
    }
    entries = "".join(
        f"<entry><key>{name}</key><value>{value}</value></entry>" for name, value in numbers.items()
    )
    return query_reply("GetAccountSummary", _IAM, f"<SummaryMap>{entries}</SummaryMap>")


def _virtual_devices(request: Request, _: StubSettings) -> Reply:
    account = request.account_id
    if not accounts.root_has_mfa(account):
        result = "<IsTruncated>false</IsTruncated><VirtualMFADevices/>"
        return query_reply("ListVirtualMFADevices", _IAM, result)
    result = (
        "<IsTruncated>false</IsTruncated><VirtualMFADevices><member>"
        f"<SerialNumber>arn:aws:iam::{account}:mfa/root-account-mfa-device</SerialNumber>"
        f"<User><Path>/</Path><UserName>root</UserName><UserId>{account}</UserId>"
        f"<Arn>arn:aws:iam::{account}:root</Arn><CreateDate>{accounts.GENERATED_AT}</CreateDate>"
        f"</User><EnableDate>{accounts.GENERATED_AT}</EnableDate></member></VirtualMFADevices>"
    )
    return query_reply("ListVirtualMFADevices", _IAM, result)


def _password_policy(request: Request, _: StubSettings) -> Reply:
    flags = "".join(
        f"<Require{name}>true</Require{name}>"
        for name in ("Symbols", "Numbers", "UppercaseCharacters", "LowercaseCharacters")
    )
    length = accounts.password_length(request.account_id)
    result = (
        f"<PasswordPolicy><MinimumPasswordLength>{length}</MinimumPasswordLength>{flags}"
        "<AllowUsersToChangePassword>true</AllowUsersToChangePassword>"
        "<PasswordReusePrevention>24</PasswordReusePrevention><ExpirePasswords>true"
        "</ExpirePasswords><MaxPasswordAge>90</MaxPasswordAge></PasswordPolicy>"
    )
    return query_reply("GetAccountPasswordPolicy", _IAM, result)


def _list_users(request: Request, settings: StubSettings) -> Reply:
    names = accounts.user_names(request.account_id, settings)
    form = request.form
    start, size = int(form.get("Marker", 0)), int(form.get("MaxItems", 100))
    members = "".join(
        f"<member><Path>/</Path><UserName>{name}</UserName><UserId>AIDA{name}</UserId>"
        f"<Arn>arn:aws:iam::{request.account_id}:user/{name}</Arn>"
        f"<CreateDate>{accounts.GENERATED_AT}</CreateDate></member>"
        for name in names[start : start + size]
    )
    more = start + size < len(names)
    tail = f"<IsTruncated>true</IsTruncated><Marker>{start + size}</Marker>"
    tail = tail if more else "<IsTruncated>false</IsTruncated>"
    return query_reply("ListUsers", _IAM, f"<Users>{members}</Users>{tail}")


def _login_profile(request: Request, _: StubSettings) -> Reply:
    result = (
        f"<LoginProfile><UserName>{request.form['UserName']}</UserName>"
        f"<CreateDate>{accounts.GENERATED_AT}</CreateDate></LoginProfile>"
    )
    return query_reply("GetLoginProfile", _IAM, result)


def _mfa_devices(request: Request, settings: StubSettings) -> Reply:
    name = request.form["UserName"]
    device = (
        f"<member><UserName>{name}</UserName><SerialNumber>serial-{name}</SerialNumber>"
        f"<EnableDate>{accounts.GENERATED_AT}</EnableDate></member>"
    )
    members = device if accounts.has_mfa(name, settings) else ""
    listed = f"<MFADevices>{members}</MFADevices><IsTruncated>false</IsTruncated>"
    return query_reply("ListMFADevices", _IAM, listed)


IAM_HANDLERS: dict[str, Handler] = {
    "sts.AssumeRole": _assume_role,
    "sts.GetCallerIdentity": _caller,
    "iam.GenerateCredentialReport": _generate_report,
    "iam.GetCredentialReport": _get_report,
    "iam.GetAccountSummary": _summary,
    "iam.ListVirtualMFADevices": _virtual_devices,
    "iam.GetAccountPasswordPolicy": _password_policy,
    "iam.ListUsers": _list_users,
    "iam.GetLoginProfile": _login_profile,
    "iam.ListMFADevices": _mfa_devices,
}
