"""What the bytes that were sent prove: written from the rules' page, from nothing of the product.

It reads more strictly than it has to: whatever is not exactly as AWS documents it is a doubt, and
what rests on a doubt proves nothing. The product may see a proof and say "unknown"; it may never
say what is not proven here.
"""

import base64
import csv
import io
import json
import re
from datetime import UTC, datetime

from tests.faults.answers.endpoint import ACCOUNT
from tests.faults.answers.sent import (
    DoubtError,
    Line,
    OutOfUseError,
    RefusedError,
    child,
    document,
    flag,
    items,
    maybe,
    need,
    number,
    once,
    scalar,
    struct,
    text,
    xml,
)
from tests.faults.answers.wire import regions_of_partition

DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
# Every name that AWS gave a region so far; another word is no region, and its list is in doubt.
_REGION = re.compile(r"[a-z]{2,8}(-[a-z0-9]{2,12}){1,4}-[0-9]{1,2}")
_KEYS = ("access_key_1_active", "access_key_2_active")
_OPERATORS = ("Equals", "NotEquals", "StartsWith", "NotStartsWith", "EndsWith", "NotEndsWith")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def proven(served):
    """Verdict per chain, ``None`` where nothing is proven, and the report's own time."""
    line = Line(served)
    verdicts = {
        name: _or_none(rule, line)
        for name, rule in {
            "root": root_mfa,
            "users": users,
            "policy": policy,
            "block": block,
            "trail": trails,
            "detector": detectors,
            "finding": findings,
        }.items()
    }
    return verdicts, _or_none(lambda one: report(one)[2], line)


def _or_none(read, *arguments):
    try:
        return read(*arguments)
    except (DoubtError, OutOfUseError):
        return None


def report(line):
    """The root row, the other rows and the report's time."""
    need(scalar(child(line.query("iam.GenerateCredentialReport")[0], "State")) == "COMPLETE")
    (result,) = line.query("iam.GetCredentialReport")
    need(scalar(child(result, "ReportFormat")) == "text/csv")
    generated = scalar(child(result, "GeneratedTime"))
    need(_TIME.fullmatch(generated))
    try:
        moment = datetime.fromisoformat(generated).astimezone(UTC)
        content = base64.b64decode(scalar(child(result, "Content"))).decode("utf-8-sig")
        header, *rows = csv.reader(io.StringIO(content), strict=True)
    except (ValueError, OverflowError, csv.Error):
        raise DoubtError from None
    need(len(set(header)) == len(header) and all(len(row) == len(header) for row in rows))
    table = [dict(zip(header, row, strict=True)) for row in rows]
    for row in table:
        need(set(row) >= {"user", "arn", "mfa_active", "password_enabled", *_KEYS})
        need(
            row["arn"].split(":")[4:5] == [ACCOUNT]
            and row["mfa_active"].lower() in {"true", "false"}
        )
        words = {"true", "false", "not_supported", "no_information", "n/a"}
        need(row["password_enabled"].lower() in words)
    need(len({row["user"] for row in table}) == len(table))
    root = [row for row in table if row["user"] == "<root_account>"]
    need(len(root) == 1)
    return root[0], [row for row in table if row is not root[0]], moment


def summary(line):
    """AccountMFAEnabled and AccountPasswordPresent as AWS sent them."""
    (result,) = line.query("iam.GetAccountSummary")
    found = once(
        [
            (scalar(child(entry, "key")), number(child(entry, "value")))
            for entry in child(result, "SummaryMap")
            if need(len(entry) == 2) is None
        ]
    )
    bits = [found.get(name) for name in ("AccountMFAEnabled", "AccountPasswordPresent")]
    need(all(bit in {None, 0, 1} for bit in bits))
    return bits


def root_mfa(line):
    bits = _or_none(summary, line) or [None, None]
    read = _or_none(report, line)
    row = read[0] if read else None
    keys = row and "true" in {row[name].lower() for name in _KEYS}
    in_report = row and (row["password_enabled"].lower() in {"true", "not_supported"} or keys)
    mfa = bits[0] if bits[0] is not None else row and int(row["mfa_active"].lower() == "true")
    if bits[1] or in_report:
        need(mfa is not None)
        return "pass" if mfa else "fail"
    need(bits[1] == 0 and row)
    return "not_applicable"


def users(line):
    try:
        _, rows, _ = report(line)
        people = [
            row["mfa_active"].lower() == "true"
            for row in rows
            if row["password_enabled"].lower() == "true"
        ]
    except RefusedError as refusal:
        need(refusal.code in DENIED)
        people = list(_one_by_one(line))
    except OutOfUseError:
        people = list(_one_by_one(line))
    if not people:
        return "not_applicable"
    return "pass" if all(people) else "fail"


def _one_by_one(line):
    found = [scalar(child(user, "UserName")) for user in line.listed("iam.ListUsers", "Users")]
    need(all(found) and len(set(found)) == len(found))
    for user in found:
        try:
            (result,) = line.query("iam.GetLoginProfile", user)
        except RefusedError as refusal:
            need(refusal.code in {"NoSuchEntity", "NoSuchEntityException"})
            continue
        child(result, "LoginProfile")
        devices = line.listed("iam.ListMFADevices", "MFADevices", user)
        yield bool([text(scalar(child(device, "SerialNumber"))) for device in devices])


def policy(line):
    try:
        (result,) = line.query("iam.GetAccountPasswordPolicy")
    except RefusedError as refusal:
        need(refusal.code in {"NoSuchEntity", "NoSuchEntityException"})
        return "fail"
    inner = child(result, "PasswordPolicy")
    values = [maybe(inner, name) for name in ("MinimumPasswordLength", "PasswordReusePrevention")]
    length, reuse = (0 if value is None else number(value) for value in values)
    return "pass" if length >= 14 and reuse >= 24 else "fail"


def block(line):
    try:
        root = xml(line.one("s3-control.GetPublicAccessBlock"))
    except RefusedError as refusal:
        need(refusal.code == "NoSuchPublicAccessBlockConfiguration")
        return "fail"
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    found = [maybe(root, name) for name in names]
    need(any(one is not None for one in found))
    return "pass" if all(one is not None and flag(one) for one in found) else "fail"


def regions(line):
    try:
        root = xml(line.one("ec2.DescribeRegions"))
    except RefusedError as refusal:
        need(refusal.code in DENIED)
        return regions_of_partition()
    found = [
        (scalar(child(item, "regionName")), scalar(child(item, "optInStatus")))
        for item in child(root, "regionInfo")
    ]
    known = {"opt-in-not-required": True, "opted-in": True, "not-opted-in": False}
    need(all(status in known for _, status in found))
    enabled = [name for name, status in found if known[status]]
    need(enabled and len(set(enabled)) == len(enabled))
    return enabled


def per_region(line, read):
    """What each region in use says, doubts in the place of what it does not."""
    said = {}
    for region in regions(line):
        try:
            said[region] = read(line, region)
        except OutOfUseError:
            continue
        except DoubtError as doubt:
            said[region] = doubt
    need(said)
    return said


def trails(line):
    seen = per_region(line, _described)
    listings = {region: one for region, one in seen.items() if not isinstance(one, DoubtError)}
    doubtful = len(listings) < len(seen)
    for arn in {arn for listing in listings.values() for arn in listing}:
        ways = {region: listing[arn] for region, listing in listings.items() if arn in listing}
        at_home = {way for region, way in ways.items() if way[0] == region}
        try:
            ((home, multi),) = at_home or set(ways.values())
            if _records_all(line, arn, home) and multi:
                return "pass"
        except (DoubtError, OutOfUseError, ValueError):
            doubtful = True
    need(not doubtful)
    return "fail"


def _described(line, region):
    trail_list = items(document(line.one("cloudtrail.DescribeTrails", region)).get("trailList"))
    found = [struct(one) for one in trail_list]
    for one in found:
        need(isinstance(one.get("IsMultiRegionTrail"), bool))
        need(_REGION.fullmatch(text(one.get("HomeRegion"))))
    return once(
        [
            (text(one.get("TrailARN")), (one["HomeRegion"], one["IsMultiRegionTrail"]))
            for one in found
        ]
    )


def _records_all(line, arn, home):
    status = document(line.one("cloudtrail.GetTrailStatus", home, arn))
    need(isinstance(status.get("IsLogging"), bool))
    selectors = document(line.one("cloudtrail.GetEventSelectors", home, arn))
    need("EventSelectors" in selectors or "AdvancedEventSelectors" in selectors)
    recorded = set()
    for one in map(struct, items(selectors.get("EventSelectors") or [])):
        words = {"All": "rw", "ReadOnly": "r", "WriteOnly": "w"}
        need(isinstance(one.get("IncludeManagementEvents"), bool))
        need(text(one.get("ReadWriteType")) in words)
        recorded |= set(words[one["ReadWriteType"]]) if one["IncludeManagementEvents"] else set()
    for one in map(struct, items(selectors.get("AdvancedEventSelectors") or [])):
        recorded |= _advanced([struct(part) for part in items(one.get("FieldSelectors"))])
    return status["IsLogging"] and recorded >= {"r", "w"}


def _advanced(parts):
    fields = once([(text(part.get("Field")), part) for part in parts])
    category = fields.pop("eventCategory", {})
    need({name for name in _OPERATORS if category.get(name)} == {"Equals"})
    if "Management" not in items(category["Equals"]):
        return set()
    fields.pop("eventSource", None)
    read_only = fields.pop("readOnly", {"Equals": ["true", "false"]})
    kept = {"true": "r", "false": "w"}
    return set() if fields else {kept.get(word) for word in items(read_only.get("Equals"))}


def _listed_detector(line, region):
    found = line.tokens("guardduty.ListDetectors", region, "detectorIds")
    need(len(found) <= 1)
    return found[0] if found else None


def detectors(line):
    said = per_region(line, _detector_state).values()
    if any(state is False for state in said):
        return "fail"
    need(all(state is True for state in said))
    return "pass"


def _detector_state(line, region):
    detector = _listed_detector(line, region)
    if detector is None:
        return False
    status = document(line.one("guardduty.GetDetector", region)).get("status")
    need(status in ("ENABLED", "DISABLED"))
    try:
        line.one("guardduty.GetAdministratorAccount", region)
    except DoubtError:
        need(status == "DISABLED")
    return status == "ENABLED"


def findings(line):
    said = per_region(line, _open_findings).values()
    if any(found is True for found in said):
        return "fail"
    need(all(found is False or found is None for found in said))
    return "not_applicable" if set(said) == {None} else "pass"


def _open_findings(line, region):
    if _listed_detector(line, region) is None:
        return None
    ids = line.tokens("guardduty.ListFindings", region, "findingIds")
    need(len(set(ids)) == len(ids))
    if not ids:
        return False
    found = items(document(line.one("guardduty.GetFindings", region)).get("findings"))
    need(sorted(text(struct(one).get("id")) for one in found) == sorted(ids))
    return any([_counts(one) for one in found])  # noqa: C419 - a doubt in any is a doubt


def _counts(one):
    severity, service = one.get("severity"), struct(one.get("service"))
    # It was listed as not archived: only a word to the contrary takes it out, and null is no word.
    archived = service.get("archived")
    need(archived is None or isinstance(archived, bool))
    if archived:
        return False
    need(
        isinstance(severity, int | float) and not isinstance(severity, bool) and 0 <= severity <= 10
    )
    need(re.fullmatch(r"[0-9]{12}", text(one.get("accountId"))))
    extra = struct(service.get("additionalInfo") or {}).get("value") or "{}"
    try:
        marks = json.loads(text(extra))
    except (ValueError, RecursionError):
        marks = None
    is_sample = isinstance(marks, dict) and marks.get("sample") is True
    return one["accountId"] == ACCOUNT and severity >= 7 and not is_sample
