"""The single-host deployment: who has which secret, who listens where, what starts after what."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from thirdsentry_pipeline.settings import Settings

COMPOSE = Path(__file__).parents[3] / "deploy" / "compose"
SERVICES = {"postgres", "migrate", "code-location", "daemon", "webserver"}
OURS = SERVICES - {"postgres"}
NOT_OUR_SETTINGS = {"DAGSTER_HOME", "AWS_REGION", "THIRDSENTRY_IMAGE", "THIRDSENTRY_UI_PORT"}


@pytest.fixture(scope="module")
def document():
    return yaml.safe_load((COMPOSE / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def example():
    lines = (COMPOSE / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


class Recorded(dict):
    """An environment that keeps which of its variables were asked for."""

    def __init__(self, values):
        super().__init__(values)
        self.asked = set()

    def get(self, name, default=None):
        self.asked.add(name)
        return super().get(name, default)


def variables_that_settings_read():
    environment = Recorded({})
    Settings.from_environment(environment)
    return environment.asked


def test_services_networks_volumes_and_secrets_are_declared(document):
    assert set(document["services"]) == SERVICES
    for name, service in document["services"].items():
        assert set(service["networks"]) <= set(document["networks"]), name
        for volume in service["volumes"]:
            assert volume.split(":")[0] in document["volumes"], name
        for other in service.get("depends_on", {}):
            assert other in SERVICES
        for secret in service.get("secrets", []):
            assert secret in document["secrets"]


def test_nothing_starts_before_the_migrations_ended_well(document):
    services = document["services"]
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services["migrate"]["restart"] == "no"
    assert services["code-location"]["depends_on"] == {
        "migrate": {"condition": "service_completed_successfully"}
    }
    for name in ("daemon", "webserver"):
        assert services[name]["depends_on"]["code-location"] == {"condition": "service_healthy"}


def test_the_ui_sees_the_processes_of_runs_and_their_host_keeps_its_name(document):
    services = document["services"]
    assert services["webserver"]["pid"] == "service:daemon"
    assert services["webserver"]["hostname"] == services["daemon"]["hostname"]


def test_the_administrators_password_is_for_migrations_alone(document):
    holders = {
        name
        for name, service in document["services"].items()
        if "THIRDSENTRY_ADMIN_DATABASE_URL" in service.get("environment", {})
    }
    assert holders == {"migrate"}


def test_who_shows_holds_no_login_to_the_warehouse(document):
    held = {
        one for one in document["services"]["webserver"]["environment"] if "DATABASE_URL" in one
    }
    assert held == {"THIRDSENTRY_DAGSTER_DATABASE_URL"}


def test_only_the_ui_is_published_and_on_this_machine_alone(document):
    ports = {
        name: service["ports"]
        for name, service in document["services"].items()
        if "ports" in service
    }
    assert set(ports) == {"webserver"}
    assert all(one.startswith("127.0.0.1:") for one in ports["webserver"])
    assert document["networks"]["database"] == {"internal": True}


def test_our_containers_can_change_nothing_but_their_volume(document):
    for name in OURS:
        service = document["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "user" not in service


def test_every_variable_is_one_that_the_product_reads(document, example):
    text = (COMPOSE / "compose.yaml").read_text()
    known = variables_that_settings_read() | NOT_OUR_SETTINGS
    assert set(re.findall(r"\$\{(\w+)", text)) <= known
    for name in OURS:
        assert set(document["services"][name]["environment"]) <= known
    assert set(example) <= known


def test_the_example_is_accepted_and_every_needed_variable_is_in_it(example):
    settings = Settings.from_environment(example)
    assert settings.login_url("dagster").startswith("postgresql://thirdsentry_dagster:")
    assert settings.database_of("pipeline") == "thirdsentry"
    needed = re.findall(r"\$\{(\w+):\?", (COMPOSE / "compose.yaml").read_text())
    assert set(needed) <= set(example)


def test_the_code_locations_module_is_there(document):
    (module,) = [
        one.split("=")[1]
        for one in document["services"]["code-location"]["command"]
        if one.startswith("--module-name=")
    ]
    assert find_spec(module) is not None


def test_paths_in_commands_are_those_of_the_image(document):
    for service in document["services"].values():
        for part in service.get("command", []):
            for path in re.findall(r"/opt/thirdsentry/(\S+)", part):
                assert (COMPOSE.parents[1] / path).is_file()
