"""The AWS libraries stay below DEBUG, whatever somebody sets and whenever."""

import logging

import pytest

from thirdsentry_pipeline.aws.sessions import PlatformAws

NAMES = ["boto3", "botocore", "botocore.endpoint", "botocore.hooks", "urllib3.connectionpool"]


@pytest.fixture(autouse=True)
def _levels_as_before():
    before = {name: logging.getLogger(name).level for name in NAMES}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def speak_up():
    for name in NAMES:
        logging.getLogger(name).setLevel(logging.DEBUG)


def loud():
    return [name for name in NAMES if logging.getLogger(name).isEnabledFor(logging.DEBUG)]


def test_debug_levels_are_held_when_the_platform_is_opened():
    speak_up()
    assert loud() == NAMES
    PlatformAws(region="us-east-1")
    assert loud() == []


def test_debug_levels_set_later_are_held_before_an_account_is_opened():
    platform = PlatformAws(region="us-east-1")
    speak_up()
    platform.new_transport()
    assert loud() == []


def test_quieter_levels_are_left_alone():
    logging.getLogger("botocore.hooks").setLevel(logging.ERROR)
    PlatformAws(region="us-east-1")
    assert logging.getLogger("botocore.hooks").level == logging.ERROR
