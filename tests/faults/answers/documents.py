"""The answers of a small account in named states, with what each state proves.

A state is named per chain of reads. ``good`` passes; every other one proves something else,
so that a spoilt answer may tell a lie in both directions.
"""

import base64

from tests.faults.answers.endpoint import ACCOUNT

REGIONS = ("eu-west-1", "us-east-1")
HOME = "us-east-1"
TIME = "2026-11-23T02:00:00Z"
TRAIL = f"arn:aws:cloudtrail:{HOME}:{ACCOUNT}:trail/main"
DETECTORS = {"eu-west-1": "d" * 31 + "1", "us-east-1": "d" * 31 + "2"}
USERS = ("alice", "robot")

_COLUMNS = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,"
    "password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,"
    "access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,"
    "access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,"
    "access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)


def report_row(user, *, signs_in="true", mfa="true", key_1="false", key_2="false"):
    path = "root" if user == "<root_account>" else f"user/{user}"
    arn = f"arn:aws:iam::{ACCOUNT}:{path}"
    return (
        f"{user},{arn},{TIME},{signs_in},no_information,{TIME},N/A,{mfa},{key_1},N/A,N/A,N/A,N/A,"
        f"{key_2},N/A,N/A,N/A,N/A,false,N/A,false,N/A"
    )


def report(*rows, columns=_COLUMNS):
    return "\n".join([columns, *rows]).encode()


ROOT_ROWS = {
    "good": report_row("<root_account>", signs_in="not_supported"),
    "no_mfa": report_row("<root_account>", signs_in="not_supported", mfa="false"),
    "no_credential": report_row("<root_account>", signs_in="false", mfa="false"),
}
USER_ROWS = {
    "good": [report_row("alice"), report_row("robot", signs_in="false", mfa="false")],
    "one_without": [report_row("alice"), report_row("bob", mfa="false")],
    "nobody": [report_row("robot", signs_in="false", mfa="false")],
}
SUMMARIES = {
    "good": {"Users": 2, "AccountMFAEnabled": 1, "AccountPasswordPresent": 1},
    "no_mfa": {"Users": 2, "AccountMFAEnabled": 0, "AccountPasswordPresent": 1},
    "no_credential": {"Users": 2, "AccountMFAEnabled": 0, "AccountPasswordPresent": 0},
}
POLICIES = {
    "good": {"MinimumPasswordLength": 14, "PasswordReusePrevention": 24, "ExpirePasswords": False},
    "short": {"MinimumPasswordLength": 8, "PasswordReusePrevention": 24, "RequireSymbols": True},
    "absent": "NoSuchEntity",
}
FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
BLOCKS = {
    "good": dict.fromkeys(FLAGS, True),
    "one_off": {**dict.fromkeys(FLAGS, True), "BlockPublicPolicy": False},
    "absent": "NoSuchPublicAccessBlockConfiguration",
}
SELECTORS = {
    "good": {
        "EventSelectors": [
            {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
        ]
    },
    "advanced": {
        "AdvancedEventSelectors": [
            {
                "Name": "management",
                "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}],
            }
        ]
    },
    "writes_only": {
        "EventSelectors": [{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}]
    },
}
TRAIL_STATES = {
    # multi-region, logging, selectors; None: no trail
    "good": (True, True, "good"),
    "advanced": (True, True, "advanced"),
    "one_region": (False, True, "good"),
    "stopped": (True, False, "good"),
    "writes_only": (True, True, "writes_only"),
    "absent": None,
}
DETECTOR_STATES = ("good", "suspended", "absent")
FINDING_STATES = ("good", "one_high", "archived", "members", "sample")

EXPECTED = {
    "root": {"good": "pass", "no_mfa": "fail", "no_credential": "not_applicable"},
    "users": {"good": "pass", "one_without": "fail", "nobody": "not_applicable"},
    "policy": {"good": "pass", "short": "fail", "absent": "fail"},
    "block": {"good": "pass", "one_off": "fail", "absent": "fail"},
    "trail": {name: "pass" if name in {"good", "advanced"} else "fail" for name in TRAIL_STATES},
    "detector": {"good": "pass", "suspended": "fail", "absent": "fail"},
    "finding": {name: "fail" if name == "one_high" else "pass" for name in FINDING_STATES},
}


def finding(region, number, *, severity=8.0, account=ACCOUNT, archived=False, sample=False):
    return {
        "AccountId": account,
        "Arn": f"arn:aws:guardduty:{region}:{account}:detector/d/finding/{number}",
        "Id": f"{number:032}",
        "Type": "Recon:EC2/PortProbeUnprotectedPort",
        "Severity": severity,
        "Region": region,
        "SchemaVersion": "2.0",
        "CreatedAt": TIME,
        "UpdatedAt": TIME,
        "Service": {
            "Archived": archived,
            "Count": 1,
            "EventFirstSeen": TIME,
            "EventLastSeen": TIME,
            "AdditionalInfo": {"Value": '{"sample":true}' if sample else "{}", "Type": "default"},
        },
    }


def findings_of(state, region):
    made = {
        "good": [],
        "one_high": [finding(region, 1), finding(region, 2, account="999988887777")],
        "archived": [finding(region, 1, archived=True)],
        "members": [finding(region, 1, account="999988887777")],
        "sample": [finding(region, 1, sample=True), finding(region, 2, sample=True)],
    }
    return made[state]


def documents(state):
    """Every answer of an account: (action, region, name or None) to its pages, as documents.

    ``state`` names a state for each chain; ``detector`` and ``finding`` hold for the first
    region, and the others are as ``elsewhere`` says, else good. ``regions`` may be other ones.
    A text in the place of a document is an error code.
    """
    elsewhere = {"detector": "good", "finding": "good", **state.get("elsewhere", {})}
    rows = [ROOT_ROWS[state["root"]], *USER_ROWS[state["users"]]]
    pages = {
        ("iam.GenerateCredentialReport", None): [{"State": "COMPLETE"}],
        ("iam.GetCredentialReport", None): [
            {
                "Content": base64.b64encode(report(*rows)).decode(),
                "ReportFormat": "text/csv",
                "GeneratedTime": TIME,
            }
        ],
        ("iam.GetAccountSummary", None): [{"SummaryMap": SUMMARIES[state["root"]]}],
        ("iam.ListVirtualMFADevices", None): [
            {
                "VirtualMFADevices": [
                    {
                        "SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/root",
                        "User": {"UserName": "root", "Arn": f"arn:aws:iam::{ACCOUNT}:root"},
                    }
                ],
                "IsTruncated": False,
            }
        ],
        ("iam.GetAccountPasswordPolicy", None): [_policy(state["policy"])],
        ("iam.ListUsers", None): _user_pages(state["users"]),
        ("iam.GetLoginProfile", None): [
            {"LoginProfile": {"UserName": "alice", "CreateDate": TIME}}
        ],
        ("iam.GetLoginProfile", "robot"): ["NoSuchEntity"],
        ("iam.ListMFADevices", None): [
            {
                "MFADevices": [{"UserName": "alice", "SerialNumber": "s1", "EnableDate": TIME}],
                "IsTruncated": False,
            }
        ],
        ("iam.ListMFADevices", "bob"): [{"MFADevices": [], "IsTruncated": False}],
        ("s3-control.GetPublicAccessBlock", None): [_block(state["block"])],
        ("ec2.DescribeRegions", None): [
            {
                "Regions": [
                    *(
                        {"RegionName": name, "OptInStatus": "opt-in-not-required"}
                        for name in state.get("regions", REGIONS)
                    ),
                    {"RegionName": "me-south-1", "OptInStatus": "not-opted-in"},
                ]
            }
        ],
    }
    found = {(action, None, name): each for (action, name), each in pages.items()}
    found |= _trail_documents(state["trail"])
    for number, region in enumerate(state.get("regions", REGIONS)):
        found |= _guardduty_documents(
            region,
            (elsewhere if number else state)["detector"],
            (elsewhere if number else state)["finding"],
        )
    return found


def _policy(name):
    value = POLICIES[name]
    return value if isinstance(value, str) else {"PasswordPolicy": value}


def _block(name):
    value = BLOCKS[name]
    return value if isinstance(value, str) else {"PublicAccessBlockConfiguration": value}


def _user_pages(state):
    names = [row.split(",")[0] for row in USER_ROWS[state]]
    return [
        {
            "Users": [{"UserName": name, "Arn": f"arn:aws:iam::{ACCOUNT}:user/{name}"}],
            "IsTruncated": name != names[-1],
            **({"Marker": str(number)} if name != names[-1] else {}),
        }
        for number, name in enumerate(names, start=2)
    ]


def _trail_documents(name):
    described = TRAIL_STATES[name]
    if described is None:
        return {("cloudtrail.DescribeTrails", None, None): [{"trailList": []}]}
    multi, logging, selectors = described
    trail = {
        "Name": "main",
        "TrailARN": TRAIL,
        "HomeRegion": HOME,
        "S3BucketName": "logs",
        "IsMultiRegionTrail": multi,
        "IsOrganizationTrail": False,
        "LogFileValidationEnabled": True,
    }
    return {
        ("cloudtrail.DescribeTrails", None, None): [{"trailList": [trail]}],
        ("cloudtrail.GetTrailStatus", None, None): [
            {"IsLogging": logging, "LatestDeliveryTime": 1795744800.0}
        ],
        ("cloudtrail.GetEventSelectors", None, None): [{"TrailARN": TRAIL, **SELECTORS[selectors]}],
    }


def _guardduty_documents(region, detector, findings):
    made = findings_of(findings, region)
    ids = [[one["Id"]] for one in made] or [[]]
    pages = [
        {"FindingIds": page, "NextToken": str(number) if number <= len(ids) else ""}
        for number, page in enumerate(ids, start=2)
    ]
    listed = [] if detector == "absent" else [DETECTORS.get(region, "d" * 32)]
    status = "DISABLED" if detector == "suspended" else "ENABLED"
    return {
        ("guardduty.ListDetectors", region, None): [{"DetectorIds": listed, "NextToken": ""}],
        ("guardduty.GetDetector", region, None): [{"Status": status, "CreatedAt": TIME}],
        ("guardduty.GetAdministratorAccount", region, None): [{}],
        ("guardduty.ListFindings", region, None): pages,
        ("guardduty.GetFindings", region, None): [{"Findings": made}],
    }
