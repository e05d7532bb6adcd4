"""IAM: root's and the users' MFA, and the password policy, in calls that don't grow with users."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from thirdsentry_pipeline.aws import paging, shapes
from thirdsentry_pipeline.aws.credential_report import GENERATE_REPORT, Wait, read_report
from thirdsentry_pipeline.aws.errors import (
    AnswerTooLargeError,
    MalformedAnswerError,
    error_code_of,
)
from thirdsentry_pipeline.aws.reading import settled
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.facts import (
    AccountSummary,
    IamUser,
    MfaCoverageFacts,
    PasswordPolicy,
    RootMfaFacts,
    Unread,
)

if TYPE_CHECKING:
    from thirdsentry_pipeline.aws.account_session import AccountSession
    from thirdsentry_pipeline.aws.credential_report import Table
    from thirdsentry_pipeline.aws.reading import Answer, Reads, Slot
    from thirdsentry_pipeline.domain.facts import CredentialReport, Fact

GET_SUMMARY = "iam:GetAccountSummary"
LIST_VIRTUAL_MFA = "iam:ListVirtualMFADevices"
GET_PASSWORD_POLICY = "iam:GetAccountPasswordPolicy"  # noqa: S105 - an action, not a secret
LIST_USERS = "iam:ListUsers"
GET_LOGIN_PROFILE = "iam:GetLoginProfile"
_PAGE = 1_000
_MOST_USERS = 50_000


class MfaReads:
    """Reads the two MFA types from one credential report."""

    def __init__(
        self,
        session: AccountSession,
        reads: Reads,
        *,
        root: bool,
        coverage: bool,
        wait: Wait,
    ) -> None:
        self._session = session
        self._reads = reads
        self._coverage = coverage
        self._users: Slot[tuple[str, ...]] | None = None
        self._fallback: dict[str, Slot[IamUser]] = {}
        # Last: its answer may be there, and followed, before the slot is.
        self._report: Slot[tuple[CredentialReport, Table] | Unread] = reads.start(
            GENERATE_REPORT, partial(read_report, session, wait), self._follow
        )
        if root:
            self._summary = reads.start(GET_SUMMARY, partial(read_summary, session))
            self._virtual = reads.start(LIST_VIRTUAL_MFA, partial(read_virtual_mfa_users, session))

    def _follow(self, report: Answer[Any]) -> None:
        if self._coverage and isinstance(report, Unread) and report.code.is_denial:
            self._users = self._reads.start(
                LIST_USERS, partial(read_user_names, self._session), self._follow_users
            )

    def _follow_users(self, names: Answer[tuple[str, ...]]) -> None:
        if not isinstance(names, tuple):
            return
        for name in names:
            self._fallback[name] = self._reads.start(
                GET_LOGIN_PROFILE, partial(read_user, self._session, name)
            )

    @property
    def table(self) -> Table | None:
        """What makes the report's table, when it was read."""
        answer = self._report.answer
        return answer[1] if isinstance(answer, tuple) else None

    def root_facts(self) -> RootMfaFacts:
        """What was read of the root user by now."""
        return RootMfaFacts(
            account_id=self._session.account_id,
            partition=self._session.partition,
            summary=settled(self._summary.answer, GET_SUMMARY),
            report=self._report_fact(),
            virtual_mfa_user_arns=settled(self._virtual.answer, LIST_VIRTUAL_MFA),
        )

    def coverage_facts(self) -> MfaCoverageFacts:
        """What was read of the users by now."""
        return MfaCoverageFacts(self._report_fact(), self._fallback_fact())

    def _report_fact(self) -> Fact[CredentialReport]:
        answer = settled(self._report.answer, GENERATE_REPORT)
        return answer if isinstance(answer, Unread) else answer[0]

    def _fallback_fact(self) -> Fact[tuple[IamUser, ...]] | None:
        if self._users is None:
            return None
        names = settled(self._users.answer, LIST_USERS)
        if isinstance(names, Unread):
            return names
        users: list[IamUser] = []
        for name in names:
            user = settled(self._fallback[name].answer, GET_LOGIN_PROFILE)
            if isinstance(user, Unread):
                return user
            users.append(user)
        return tuple(users)


def read_summary(session: AccountSession) -> AccountSummary:
    """The members of the account summary that speak of root."""
    client = session.client("iam", session.default_region)
    summary = shapes.record(client.get_account_summary(), "SummaryMap")

    def bit(name: str) -> bool | None:
        value = shapes.optional_number(summary, name)
        if value not in {None, 0, 1}:
            message = f"{name} is neither 0 nor 1"
            raise MalformedAnswerError(message)
        return None if value is None else value == 1

    return AccountSummary(
        mfa_enabled=bit("AccountMFAEnabled"),
        password_present=bit("AccountPasswordPresent"),
        access_keys_present=bit("AccountAccessKeysPresent"),
    )


def read_virtual_mfa_users(session: AccountSession) -> tuple[str, ...]:
    """``User.Arn`` of every assigned virtual device, sorted."""
    client = session.client("iam", session.default_region)
    arns: list[str] = []
    serials: list[str] = []
    parameters = {"AssignmentStatus": "Assigned", "MaxItems": _PAGE}
    for page in paging.pages(client.list_virtual_mfa_devices, paging.IAM, parameters):
        for device in shapes.records(page, "VirtualMFADevices"):
            serials.append(shapes.text(device, "SerialNumber"))
            if device.get("User") is not None:
                arns.append(shapes.text(device["User"], "Arn"))
        _check_count(serials, "virtual MFA devices")
    shapes.without_repeats(serials, "virtual MFA devices")
    return tuple(sorted(arns))


def read_password_policy(session: AccountSession) -> PasswordPolicy | None:
    """The account's password policy, ``None`` when AWS says that there is none."""
    client = session.client("iam", session.default_region)
    try:
        answer = client.get_account_password_policy()
    except ClientError as error:
        if error_code_of(error) == "NoSuchEntity":
            return None
        raise
    policy = shapes.record(answer, "PasswordPolicy")
    return PasswordPolicy(
        minimum_length=shapes.optional_number(policy, "MinimumPasswordLength"),
        reuse_prevention=shapes.optional_number(policy, "PasswordReusePrevention"),
        max_age_days=shapes.optional_number(policy, "MaxPasswordAge"),
        require_symbols=shapes.optional_flag(policy, "RequireSymbols"),
        require_numbers=shapes.optional_flag(policy, "RequireNumbers"),
        require_uppercase=shapes.optional_flag(policy, "RequireUppercaseCharacters"),
        require_lowercase=shapes.optional_flag(policy, "RequireLowercaseCharacters"),
    )


def read_user_names(session: AccountSession) -> tuple[str, ...]:
    """All user names, for an account that denies its credential report."""
    client = session.client("iam", session.default_region)
    names: list[str] = []
    for page in paging.pages(client.list_users, paging.IAM, {"MaxItems": _PAGE}):
        names.extend(shapes.text(user, "UserName") for user in shapes.records(page, "Users"))
        _check_count(names, "users")
    return shapes.without_repeats(names, "users")


def read_user(session: AccountSession, name: str) -> IamUser | Unread:
    """One user's password and, if there is one, MFA."""
    client = session.client("iam", session.default_region)
    try:
        shapes.record(client.get_login_profile(UserName=name), "LoginProfile")
    except ClientError as error:
        if error_code_of(error) == "NoSuchEntity":
            return IamUser(name, has_password=False, has_mfa=False)
        raise
    serials: list[str] = []
    try:
        for page in paging.pages(client.list_mfa_devices, paging.IAM, {"UserName": name}):
            devices = shapes.records(page, "MFADevices")
            serials.extend(shapes.text(device, "SerialNumber") for device in devices)
    except ClientError as error:
        if error_code_of(error) == "NoSuchEntity":
            # Deleted between the two calls: the next read tells.
            return Unread(ErrorCode.TRANSIENT, "iam:ListMFADevices")
        raise
    return IamUser(name, has_password=True, has_mfa=bool(serials))


def _check_count(found: list[str], what: str) -> None:
    if len(found) > _MOST_USERS:
        message = f"there are more than {_MOST_USERS} {what}"
        raise AnswerTooLargeError(message)
