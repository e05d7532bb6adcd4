"""The vendor's own account: KMS that outlives a restart, an anchor bucket, SNS to SQS."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from tests.integration.sandbox.conftest import vendor_client
from thirdsentry_pipeline.local.sandbox_process import SandboxProcess

pytestmark = pytest.mark.integration

CONTEXT = {"organization_id": "66f0000000000000000000a1", "purpose": "test"}


def test_what_was_sealed_opens_after_a_restart_and_roles_are_still_there(tmp_path):
    with SandboxProcess(tmp_path) as first:
        key_id = first.environment["THIRDSENTRY_KMS_KEY_ID"]
        kms = vendor_client(first, "kms")
        data_key = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256", EncryptionContext=CONTEXT)
        trust = {"Version": "2012-10-17", "Statement": []}
        role_arn = first.admin.create_role("700111111111", "Kept", trust)
    with SandboxProcess(tmp_path) as second:
        assert second.environment["THIRDSENTRY_KMS_KEY_ID"] == key_id
        opened = vendor_client(second, "kms").decrypt(
            CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext=CONTEXT
        )
        assert opened["Plaintext"] == data_key["Plaintext"]
        role = second.admin.client("iam", "700111111111").get_role(RoleName="Kept")["Role"]
        assert role["Arn"] == role_arn
    for name in ("kms-key.json", "roles.jsonl"):
        assert (tmp_path / "sandbox" / name).stat().st_mode & 0o777 == 0o600


def test_a_disabled_key_opens_nothing(vendor):
    kms = vendor("kms")
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = kms.encrypt(KeyId=key_id, Plaintext=b"secret")["CiphertextBlob"]
    kms.disable_key(KeyId=key_id)
    with pytest.raises(kms.exceptions.DisabledException):
        kms.decrypt(CiphertextBlob=sealed)
    with pytest.raises(kms.exceptions.DisabledException):
        kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")
    kms.enable_key(KeyId=key_id)
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"secret"
    kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    with pytest.raises(kms.exceptions.KMSInvalidStateException):
        kms.decrypt(CiphertextBlob=sealed)


def test_another_encryption_context_opens_nothing(sandbox, vendor):
    kms = vendor("kms")
    key_id = sandbox.environment["THIRDSENTRY_KMS_KEY_ID"]
    sealed = kms.encrypt(KeyId=key_id, Plaintext=b"secret", EncryptionContext=CONTEXT)
    with pytest.raises(kms.exceptions.InvalidCiphertextException):
        kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext={"a": "b"})


def test_the_key_also_goes_by_its_alias(vendor):
    sealed = vendor("kms").encrypt(KeyId="alias/thirdsentry", Plaintext=b"x")["CiphertextBlob"]
    assert vendor("kms").decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"


def test_an_anchor_under_object_lock_can_not_be_deleted(sandbox, vendor):
    s3, bucket = vendor("s3"), sandbox.environment["THIRDSENTRY_ANCHOR_BUCKET"]
    configuration = s3.get_object_lock_configuration(Bucket=bucket)
    assert configuration["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"
    put = s3.put_object(
        Bucket=bucket,
        Key="anchors/one",
        Body=b"{}",
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=datetime.now(UTC) + timedelta(days=1),
    )
    with pytest.raises(ClientError) as failure:
        s3.delete_object(Bucket=bucket, Key="anchors/one", VersionId=put["VersionId"])
    assert failure.value.response["Error"]["Code"] == "AccessDenied"
    assert s3.get_object(Bucket=bucket, Key="anchors/one")["Body"].read() == b"{}"


def test_an_alert_published_to_sns_arrives_in_sqs(vendor):
    sns, sqs = vendor("sns"), vendor("sqs")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    queue = sqs.create_queue(QueueName="alerts")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    sns.publish(TopicArn=topic, Message="evidence is stale")
    message = sqs.receive_message(QueueUrl=queue)["Messages"][0]
    assert json.loads(message["Body"])["Message"] == "evidence is stale"
