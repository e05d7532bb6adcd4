"""An anchor as it is written and read: one row, one key, nothing else accepted."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from thirdsentry_pipeline.aws.anchors import AnchorBucket, AnchorRecord
from thirdsentry_pipeline.domain.errors import ConfigurationError, ThirdSentryError

RECORD = AnchorRecord(
    organization_id="66f0000000000000000000a1",
    seq=42,
    row_hash="0123456789abcdef" * 4,
    anchored_at=datetime(2026, 3, 2, 1, 0, 0, 123456, tzinfo=UTC),
    kept_until=datetime(2033, 3, 2, 0, 0, tzinfo=UTC),
)


def changed(**fields):
    return json.dumps(json.loads(RECORD.body()) | fields).encode()


def without(name):
    document = json.loads(RECORD.body())
    del document[name]
    return json.dumps(document).encode()


def test_what_is_written_is_read_back_the_same():
    assert AnchorRecord.parse(RECORD.key, RECORD.body()) == RECORD
    assert set(json.loads(RECORD.body())) == {"organization", "seq", "hash", "time", "kept_until"}


def test_keys_sort_as_their_sequence_numbers_do():
    keys = [replace(RECORD, seq=seq).key for seq in (9, 10, 99, 100, 10**15)]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"42",
        b"null",
        b"[" * 100_000,
        b"\xff\xfe",
        without("hash"),
        without("kept_until"),
        changed(seq="42"),
        changed(seq=True),
        changed(seq=41),
        changed(seq=42.0),
        changed(organization="66f0000000000000000000a2"),
        changed(hash="0" * 63),
        changed(hash=7),
        changed(time="2026-03-02T01:00:00"),
        changed(kept_until="2033-03-02"),
        changed(kept_until=None),
    ],
    ids=lambda body: body[:20].decode(errors="replace") + str(len(body)),
)
def test_anything_else_is_refused_with_its_key(body):
    with pytest.raises(ThirdSentryError, match=RECORD.key):
        AnchorRecord.parse(RECORD.key, body)


def test_without_a_bucket_the_setting_is_named():
    for unset in (None, ""):
        with pytest.raises(ConfigurationError, match="THIRDSENTRY_ANCHOR_BUCKET"):
            AnchorBucket(None, unset)
