"""The places alerts are sent to: an SNS topic, a webhook, and the log when neither is set."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as SlowError

from thirdsentry_pipeline.aws.notify import SnsTopic
from thirdsentry_pipeline.domain.alert_message import DeliveryError

if TYPE_CHECKING:
    from thirdsentry_pipeline.aws.sessions import PlatformAws
    from thirdsentry_pipeline.domain.alert_message import AlertMessage, AlertSink
    from thirdsentry_pipeline.settings import Settings

_TIMEOUT = urllib3.Timeout(connect=3, read=5)
_LONGEST_WAIT_SECONDS = 3600
_LOG = logging.getLogger(__name__)


def sinks_for(settings: Settings, platform: PlatformAws) -> tuple[AlertSink, ...]:
    """The sinks that are set; each gets every message."""
    sinks: list[AlertSink] = []
    if settings.alert_sns_topic_arn is not None:
        sinks.append(SnsTopic(platform, settings.alert_sns_topic_arn))
    if settings.alert_webhook_url is not None:
        sinks.append(Webhook(settings.alert_webhook_url))
    return tuple(sinks) or (LogSink(),)


class LogSink:
    """Writes each message as a warning, one line of JSON."""

    name = "log"

    def send(self, message: AlertMessage) -> None:
        """Log the message; it counts as delivered."""
        _LOG.warning("%s %s", message.title, json.dumps(message.document()))


class Webhook:
    """Posts Slack-compatible JSON; the URL is a secret and shows nowhere, errors included."""

    name = "webhook"

    def __init__(self, url: str) -> None:
        # At DEBUG urllib3 writes the path, which is the secret.
        logger = logging.getLogger("urllib3")
        logger.setLevel(max(logger.level, logging.INFO))
        self._url = url

    def send(self, message: AlertMessage) -> None:
        """Post once, without retries and without following a redirect to wherever.

        Raises:
            DeliveryError: there was no answer in time, or one other than 2xx.
        """
        body = json.dumps({"text": slack_text(message.text)}, ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "thirdsentry-pipeline",
            "Idempotency-Key": message.message_id,
        }
        try:
            with _pool_for(self._url) as pool:
                answer = pool.request(
                    "POST",
                    self._url,
                    body=body,
                    headers=headers,
                    timeout=_TIMEOUT,
                    retries=False,
                    redirect=False,
                    # The status says it all; a body may be of any length.
                    preload_content=False,
                )
                answer.close()
        except NewConnectionError:
            sentence = "The webhook could not be reached."
            raise DeliveryError(sentence) from None
        except SlowError:
            sentence = "The webhook did not answer in time."
            raise DeliveryError(sentence) from None
        except (HTTPError, OSError, ValueError) as error:
            sentence = f"The webhook did not answer ({type(error).__name__})."
            raise DeliveryError(sentence) from None
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            sentence = f"The webhook answered HTTP {answer.status}."
            wait = asked_wait(answer.headers.get("Retry-After", ""))
            raise DeliveryError(sentence, retry_in=wait)


def slack_text(text: str) -> str:
    """Escape what would become a mention or a link: names are the customers' own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def asked_wait(header: str) -> timedelta | None:
    """``Retry-After`` in seconds, at most an hour; ``None`` when it is anything else."""
    seconds = header.strip()
    if not (seconds.isascii() and seconds.isdigit()):
        return None
    # Cut before int(): a header may hold thousands of digits.
    return timedelta(seconds=min(int(seconds[:6]), _LONGEST_WAIT_SECONDS))


def _pool_for(url: str) -> urllib3.PoolManager:
    """Connections for one message, through the proxy that this machine uses."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    host = parts.hostname or ""
    if proxy is None or host in {"localhost", "127.0.0.1", "::1"} or proxy_bypass(host):
        return urllib3.PoolManager()
    return urllib3.ProxyManager(proxy)
