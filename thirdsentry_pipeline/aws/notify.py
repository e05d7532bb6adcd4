"""Alerts to an SNS topic of the platform's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from thirdsentry_pipeline.aws.errors import AnswerTooLargeError, DeadlinePassedError
from thirdsentry_pipeline.domain.alert_message import DeliveryError

if TYPE_CHECKING:
    from thirdsentry_pipeline.aws.sessions import PlatformAws
    from thirdsentry_pipeline.domain.alert_message import AlertMessage

_SECONDS = 8.0
_LONGEST_SUBJECT = 99


class SnsTopic:
    """Publishes JSON for machines and plain text for subscribers by e-mail."""

    name = "sns"

    def __init__(self, platform: PlatformAws, topic_arn: str) -> None:
        self._platform = platform
        self._topic_arn = topic_arn
        self._region = topic_arn.split(":")[3]

    def send(self, message: AlertMessage) -> None:
        """Publish one message; no attempt begins after eight seconds.

        Raises:
            DeliveryError: SNS did not take it; the text names AWS's error code.
        """
        transport = self._platform.new_transport()
        transport.stop_after(_SECONDS)
        try:
            client = self._platform.client("sns", self._region, transport=transport)
            client.publish(**self._request(message))
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            sentence = f"SNS refused the message ({code})."
            raise DeliveryError(sentence) from None
        except (BotoCoreError, DeadlinePassedError, AnswerTooLargeError) as error:
            sentence = f"SNS did not answer ({type(error).__name__})."
            raise DeliveryError(sentence) from None
        finally:
            transport.close()

    def _request(self, message: AlertMessage) -> dict[str, Any]:
        document = json.dumps(message.document(), ensure_ascii=False)
        request: dict[str, Any] = {
            "TopicArn": self._topic_arn,
            "Subject": subject(message.title),
            "MessageStructure": "json",
            "Message": json.dumps({"default": document, "email": message.text}),
            # Subscribers filter by these.
            "MessageAttributes": {
                "organization_id": {
                    "DataType": "String",
                    "StringValue": message.organization_id,
                },
                "kinds": {
                    "DataType": "String.Array",
                    "StringValue": json.dumps(sorted({entry.kind for entry in message.entries})),
                },
            },
        }
        if self._topic_arn.endswith(".fifo"):
            request["MessageGroupId"] = message.organization_id
            request["MessageDeduplicationId"] = message.message_id
        return request


def subject(title: str) -> str:
    """The title as SNS accepts it: printable ASCII, below 100 characters."""
    plain = title.encode("ascii", "replace").decode("ascii")
    return plain if len(plain) <= _LONGEST_SUBJECT else f"{plain[: _LONGEST_SUBJECT - 3]}..."
