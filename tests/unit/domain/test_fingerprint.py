"""Same state, same fingerprint; any fingerprinted change, another one; nothing unstorable passes."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from datetime import UTC, datetime
from enum import Enum

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from thirdsentry_pipeline.domain.errors import MalformedPayloadError
from thirdsentry_pipeline.domain.evidence import (
    ErrorCode,
    EvidenceType,
    Reading,
    ReadStatus,
    Verdict,
)
from thirdsentry_pipeline.domain.fingerprint import (
    ACCOUNT_SUBJECT,
    FINGERPRINT_PREFIX,
    LARGEST_NUMBER,
    SCHEMA_VERSION,
    VOLATILE_FIELDS,
    canonical_payload,
    fingerprint_of,
    with_canonical_payload,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
NUMBERS = st.one_of(
    st.integers(-LARGEST_NUMBER, LARGEST_NUMBER),
    st.floats(-1e15, 1e15, allow_nan=False),
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
PAYLOADS = st.dictionaries(TEXT, VALUES, max_size=5)

FULL_PAYLOADS = {
    EvidenceType.ROOT_MFA: {"has_credential": True, "report_generated_at": "x"},
    EvidenceType.MFA_COVERAGE: {"users_without_mfa": ["a", "b"], "report_generated_at": "x"},
    EvidenceType.CLOUDTRAIL_LOGGING: {
        "trails": [
            {"arn": "t1", "latest_delivery_at": "x", "latest_delivery_error": None},
            {"arn": "t2", "latest_delivery_at": "y", "latest_delivery_error": "z"},
        ]
    },
    EvidenceType.GUARDDUTY_FINDINGS: {
        "findings": [{"finding_id": "f1", "severity": 8.5, "last_seen_at": "x"}]
    },
}


def fingerprint(payload, *, evidence_type=EvidenceType.S3_PUBLIC_ACCESS_BLOCK, **changed):
    arguments = {
        "organization_id": "64b7f3a2c1d4e5f60718293a",
        "account_id": "111111111111",
        "evidence_type": evidence_type,
        "subject": ACCOUNT_SUBJECT,
        "verdict": Verdict.PASS,
        "payload": payload,
    }
    return fingerprint_of(**{**arguments, **changed})


def canonical_is_possible(payload):
    try:
        canonical_payload(payload)
    except MalformedPayloadError:
        return False
    return True


def reshaped(value, random):
    """The same value, written otherwise."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return unicodedata.normalize(random.choice(["NFC", "NFD"]), value)
    if isinstance(value, int):
        return float(value) if random.random() < 0.5 else value
    if isinstance(value, float):
        return -0.0 if value == 0 else value
    if isinstance(value, list):
        items = [reshaped(item, random) for item in value]
        random.shuffle(items)
        return tuple(items) if random.random() < 0.5 else items
    keys = list(value)
    random.shuffle(keys)
    return {reshaped(key, random): reshaped(value[key], random) for key in keys}


@given(PAYLOADS, st.randoms(use_true_random=False))
def test_how_a_state_is_written_never_changes_its_fingerprint(payload, random):
    assume(canonical_is_possible(payload))
    assert fingerprint(reshaped(payload, random)) == fingerprint(payload)


@given(PAYLOADS)
def test_the_stored_payload_has_the_fingerprint_of_the_read_one(payload):
    assume(canonical_is_possible(payload))
    stored = json.loads(json.dumps(canonical_payload(payload)))
    assert fingerprint(stored) == fingerprint(payload)
    assert canonical_payload(stored) == stored


@given(PAYLOADS, PAYLOADS)
def test_payloads_share_a_fingerprint_only_when_they_are_the_same(one, other):
    assume(canonical_is_possible(one) and canonical_is_possible(other))
    same = json.dumps(canonical_payload(one), sort_keys=True) == json.dumps(
        canonical_payload(other), sort_keys=True
    )
    assert (fingerprint(one) == fingerprint(other)) is same


@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=4), VALUES, st.data())
def test_changing_any_field_changes_the_fingerprint(payload, value, data):
    key = data.draw(st.sampled_from(sorted(payload)))
    changed = {**payload, key: value}
    assume(canonical_is_possible(payload) and canonical_is_possible(changed))
    before, after = canonical_payload(payload), canonical_payload(changed)
    assume(json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True))
    assert fingerprint(payload).value != fingerprint(changed).value


@pytest.mark.parametrize(
    "changed",
    [
        {"organization_id": "64b7f3a2c1d4e5f60718293b"},
        {"account_id": "222222222222"},
        {"evidence_type": EvidenceType.PASSWORD_POLICY},
        {"subject": "another"},
        {"verdict": Verdict.FAIL},
        {"payload": {"configured": False}},
        {"payload": {"configured": True, "more": None}},
        {"payload": {"configured": 1}},
    ],
)
def test_whose_and_what_it_is_belongs_to_the_fingerprint(changed):
    base = fingerprint({"configured": True})
    assert fingerprint(**{"payload": {"configured": True}, **changed}).value != base.value


def test_the_schema_version_belongs_to_the_fingerprint(monkeypatch):
    before = fingerprint({})
    monkeypatch.setattr(
        "thirdsentry_pipeline.domain.fingerprint.SCHEMA_VERSION", SCHEMA_VERSION + 1
    )
    assert fingerprint({}).value != before.value


def paths_of(value, path=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths_of(item, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield from paths_of(item, path)
    else:
        yield path


def replaced(value, path, new):
    if isinstance(value, list):
        return [replaced(item, path, new) for item in value]
    if len(path) == 1:
        return {**value, path[0]: new}
    return {**value, path[0]: replaced(value[path[0]], path[1:], new)}


@pytest.mark.parametrize("evidence_type", FULL_PAYLOADS)
def test_volatile_fields_never_change_the_fingerprint_and_all_others_do(evidence_type):
    payload = FULL_PAYLOADS[evidence_type]
    base = fingerprint(payload, evidence_type=evidence_type)
    volatile = VOLATILE_FIELDS[evidence_type]
    assert volatile <= set(paths_of(payload))
    for path in paths_of(payload):
        changed = fingerprint(replaced(payload, path, "changed"), evidence_type=evidence_type)
        assert (changed == base) is (path in volatile), path


def test_a_volatile_name_elsewhere_is_not_volatile():
    one = fingerprint({"last_seen_at": "x"}, evidence_type=EvidenceType.GUARDDUTY_FINDINGS)
    other = fingerprint({"last_seen_at": "y"}, evidence_type=EvidenceType.GUARDDUTY_FINDINGS)
    assert one.value != other.value


def test_a_volatile_path_through_something_that_is_no_record_is_left_alone():
    assert fingerprint({"trails": None}, evidence_type=EvidenceType.CLOUDTRAIL_LOGGING)


def test_volatile_fields_stay_in_the_stored_payload():
    payload = FULL_PAYLOADS[EvidenceType.CLOUDTRAIL_LOGGING]
    assert canonical_payload(payload)["trails"][0]["latest_delivery_at"] == "x"


def test_order_of_records_does_not_depend_on_volatile_fields():
    trails = [
        {"arn": "same", "kms": True, "latest_delivery_at": "1"},
        {"arn": "same", "kms": False, "latest_delivery_at": "2"},
    ]
    swapped = [
        {"arn": "same", "kms": True, "latest_delivery_at": "2"},
        {"arn": "same", "kms": False, "latest_delivery_at": "1"},
    ]
    kind = EvidenceType.CLOUDTRAIL_LOGGING
    assert fingerprint({"trails": trails}, evidence_type=kind) == fingerprint(
        {"trails": swapped}, evidence_type=kind
    )


def test_the_fingerprint_is_the_hash_of_the_canonical_bytes_and_stays_what_it_is():
    made = fingerprint({"configured": True, "n": [3, 1.0, 2]})
    assert made.value == FINGERPRINT_PREFIX + hashlib.sha256(made.canonical).hexdigest()
    assert made.canonical == (
        b'{"account_id":"111111111111","evidence_type":"aws.s3.account_public_access_block",'
        b'"organization_id":"64b7f3a2c1d4e5f60718293a","payload":{"configured":true,"n":[1,2,3]},'
        b'"schema_version":1,"subject":"account","verdict":"pass"}'
    )


def test_lists_read_in_the_order_people_expect():
    payload = canonical_payload(
        {
            "names": ["b", "a!", "a"],
            "regions": [
                {"administrator_account_id": "1", "region": "us-east-1"},
                {"administrator_account_id": "2", "region": "eu-west-1"},
            ],
        }
    )
    assert payload["names"] == ["a", "a!", "b"]
    assert [record["region"] for record in payload["regions"]] == ["eu-west-1", "us-east-1"]


def test_text_of_an_enumeration_is_plain_text():
    class Word(str, Enum):  # noqa: UP042 - the older kind prints otherwise
        YES = "yes"

    stored = canonical_payload({"verdict": Verdict.PASS, "word": Word.YES})
    assert stored == {"verdict": "pass", "word": "yes"}
    assert {type(value) for value in stored.values()} == {str}


UNSTORABLE = [
    float("nan"),
    float("inf"),
    float("-inf"),
    LARGEST_NUMBER + 1,
    -LARGEST_NUMBER - 1,
    10**400,
    1e300,
    "a\x00b",
    "\ud800",
    "\udc00x",
    object(),
    b"bytes",
    {1, 2},
    datetime(2026, 11, 23, tzinfo=UTC),
    {1: "a key that is not text"},
    {"\x00": 1},
    {"\ud800": 1},
    {"\u00e9": 1, "e\u0301": 2},
]


def name_of_value(value):
    """The same in every test process: sets and addresses print differently in each."""
    return (
        type(value).__name__
        if isinstance(value, set) or type(value) is object
        else ascii(value)[:30]
    )


@pytest.mark.parametrize("value", UNSTORABLE, ids=name_of_value)
def test_what_can_not_be_stored_faithfully_is_refused_without_being_repeated(value):
    for payload in ({"field": value}, {"field": [{"deep": value}]}):
        with pytest.raises(MalformedPayloadError, match=r"payload\.field"):
            canonical_payload(payload)
        with pytest.raises(MalformedPayloadError, match=r"payload\.field") as caught:
            fingerprint(payload)
        str(caught.value).encode()


@pytest.mark.parametrize("value", UNSTORABLE, ids=name_of_value)
def test_an_unstorable_reading_becomes_malformed_and_loses_its_verdict(value):
    reading = with_canonical_payload(
        Reading(
            EvidenceType.GUARDDUTY_STATUS,
            ReadStatus.OK,
            verdict=Verdict.FAIL,
            payload={"field": value},
            regions_unread=("eu-west-1",),
        )
    )
    assert reading.read_status is ReadStatus.ERROR
    assert reading.error_code is ErrorCode.MALFORMED
    assert reading.verdict is None
    assert reading.payload is None
    assert reading.regions_unread == ("eu-west-1",)


@given(PAYLOADS)
def test_a_storable_reading_keeps_everything(payload):
    assume(canonical_is_possible(payload))
    reading = Reading(
        EvidenceType.S3_PUBLIC_ACCESS_BLOCK, ReadStatus.OK, verdict=Verdict.PASS, payload=payload
    )
    assert with_canonical_payload(reading).payload == canonical_payload(payload)
    denied = Reading(
        EvidenceType.S3_PUBLIC_ACCESS_BLOCK, ReadStatus.DENIED, error_code=ErrorCode.DENIED
    )
    assert with_canonical_payload(denied) is denied
