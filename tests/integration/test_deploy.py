"""What `deploy/` holds, judged by what will read it: Helm, the schemas of Kubernetes and Compose, hadolint."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from relay.domain import destination
from relay.settings import PREFIX, Settings
from tests.support.stand import stand

DEPLOY = Path(__file__).parents[2] / "deploy"
BIN = Path(sys.executable).parent
LEAST: dict[str, Any] = {"settings": {"RELAY_UPSTREAM_URL": "https://api.example.com"}}
ALL: dict[str, Any] = LEAST | {
    "monitor": {"enabled": True},
    "prometheusRule": {"enabled": True, "labels": {"release": "operator"}},
    "api": {"autoscaling": {"enabled": True}},
    "worker": {"autoscaling": {"enabled": True, "prometheusAddress": "http://prometheus:9090"}},
    "networkPolicy": {"allow": ["10.1.0.0/16"], "clients": [{"podSelector": {}}]},
}
OPERATORS = {"monitoring.coreos.com/v1", "keda.sh/v1alpha1"}  # their schemas cannot be had from a package


def rendered(values: dict[str, Any], name: str = "relay") -> list[dict[str, Any]]:
    """Return the manifests of the chart, notes left out."""
    texts = helm.Chart.load(DEPLOY / "helm").render(values, name=name, namespace="integration")
    return [
        manifest
        for path, text in texts.items()
        if path.endswith(".yaml")
        for manifest in yaml.safe_load_all(text)
        if manifest
    ]


def of_kind(kind: str, values: dict[str, Any] = LEAST) -> dict[str, dict[str, Any]]:
    """Return the manifests of one kind by name."""
    return {one["metadata"]["name"]: one for one in rendered(values) if one["kind"] == kind}


@pytest.mark.parametrize("values", [LEAST, ALL])
def test_helm_finds_nothing_wrong_with_the_chart(values: dict[str, Any]) -> None:
    report = helm.lint(DEPLOY / "helm", values, strict=True)
    assert report["errors"] == []
    assert [one for one in report["messages"] if one["severity"] > 1] == []


@pytest.mark.parametrize("version", ["1.28", "1.35"])
def test_kubernetes_would_take_every_manifest(version: str) -> None:
    manifests = [manifest for manifest in rendered(ALL) if manifest["apiVersion"] not in OPERATORS]
    assert {manifest["kind"] for manifest in manifests} == {
        "Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy", "ServiceAccount",
    }  # fmt: skip
    for manifest in manifests:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"settings": {"RELAY_UPSTREAM_URL": "https://a.example", "RELAY_API_KEYS": "a:secret"}},
        LEAST | {"workers": {}},
    ],
)
def test_the_chart_refuses_values_without_an_upstream_with_a_secret_or_misspelt(values: dict[str, Any]) -> None:
    with pytest.raises(helm.HelmError):
        rendered(values)


def test_pods_run_with_nothing_that_they_do_not_need() -> None:
    for deployment in of_kind("Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_every_setting_that_a_pod_is_given_exists() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for deployment in of_kind("Deployment").values():
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        assert {variable["name"] for variable in container["env"]} <= known


def test_workers_reach_what_the_destination_policy_allows_and_the_api_only_the_store() -> None:
    policies = of_kind("NetworkPolicy", ALL)
    assert [rule for rule in policies["relay-api"]["spec"]["egress"] if "ipBlock" in str(rule)] == []
    _, _, public, inside = policies["relay-worker"]["spec"]["egress"]
    blocks = {block["ipBlock"]["cidr"]: set(block["ipBlock"]["except"]) for block in public["to"]}
    refused = {str(network) for network, _ in destination._REFUSED}
    assert set(blocks) == {"0.0.0.0/0", str(destination._GLOBAL_UNICAST)}
    assert blocks["0.0.0.0/0"] - {"168.63.129.16/32"} == {one for one in refused if ":" not in one}
    assert blocks["2000::/3"] == {
        one for one in refused if ":" in one and destination._GLOBAL_UNICAST.overlaps(IPv6Network(one))
    }
    assert inside["to"] == [{"ipBlock": {"cidr": "10.1.0.0/16"}}]


def test_keda_scales_workers_by_a_metric_that_there_is() -> None:
    [scaled] = of_kind("ScaledObject", ALL).values()
    [trigger] = scaled["spec"]["triggers"]
    assert trigger["metadata"]["query"] == 'max(relay_oldest_due_seconds{namespace="integration"})'
    assert scaled["spec"]["scaleTargetRef"]["name"] in of_kind("Deployment", ALL)
    assert "replicas" not in of_kind("Deployment", ALL)["relay-worker"]["spec"]


def test_the_operator_gets_the_very_rules_that_compose_gives_to_its_prometheus() -> None:
    files = (DEPLOY / "helm" / "rules").glob("*.yml")
    made = of_kind("PrometheusRule", ALL)
    assert of_kind("PrometheusRule") == {}
    assert made.keys() == {"relay-recording", "relay-alerts"}
    assert {one["metadata"]["labels"]["release"] for one in made.values()} == {"operator"}
    assert {name: one["spec"] for name, one in made.items()} == {
        f"relay-{path.stem}": yaml.safe_load(path.read_text()) for path in files
    }
    mounted = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["prometheus"]["volumes"]
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert {"./prometheus:/etc/prometheus:ro", "./helm/rules:/etc/helm/rules:ro"} <= set(mounted)
    assert config["rule_files"] == ["../helm/rules/*.yml"]


def test_the_alerts_know_a_process_by_its_job_whatever_the_release_is_called() -> None:
    made = {(one["kind"], one["metadata"]["name"]): one for one in rendered(ALL, name="callbacks")}
    groups = made["PrometheusRule", "callbacks-alerts"]["spec"]["groups"]
    [down] = [rule["expr"] for group in groups for rule in group["rules"] if rule["alert"] == "RelayInstanceDown"]
    [wanted] = re.findall(r'job=~"([^"]+)"', down)
    api = made["ServiceMonitor", "callbacks-api"]["spec"]["jobLabel"]
    worker = made["PodMonitor", "callbacks-worker"]["spec"]["jobLabel"]
    pod = made["Deployment", "callbacks-worker"]["spec"]["template"]
    assert re.fullmatch(wanted, made["Service", "callbacks-api"]["metadata"]["labels"][api])
    assert re.fullmatch(wanted, pod["metadata"]["labels"][worker])


@pytest.mark.parametrize(
    "command",
    [
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")],
        ["hadolint", str(DEPLOY / "Dockerfile")],
    ],
    ids=["compose", "hadolint"],
)
def test_the_image_and_the_compose_file_pass_their_checkers(command: list[str]) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_image_is_pinned_by_its_digest() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    named = re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    foreign = [one["image"] for one in services if "build" not in one]
    assert len(named + foreign) == 5
    assert [image for image in named + foreign if not re.fullmatch(r"[\w/-]+:[\w.-]+@sha256:[0-9a-f]{64}", image)] == []


async def test_the_image_knows_the_health_of_an_api_and_of_a_worker() -> None:
    async with stand() as site:
        for command, setting in (("api", "RELAY_PORT"), ("worker", "RELAY_METRICS_PORT")):
            process = await site.start(command)
            asked = [sys.executable, str(DEPLOY / "healthcheck.py"), str(process.child.pid)]
            ports = {"RELAY_PORT": "1", "RELAY_METRICS_PORT": "1", setting: process.url.rpartition(":")[2]}
            process.child.send_signal(signal.SIGSTOP)
            hung = await asyncio.to_thread(subprocess.run, asked, env=os.environ | ports, check=False)
            process.child.send_signal(signal.SIGCONT)
            well = await asyncio.to_thread(subprocess.run, asked, env=os.environ | ports, check=False)
            assert (hung.returncode, well.returncode) == (1, 0)
    assert 'CMD ["python", "/opt/relay/healthcheck.py", "1"]' in (DEPLOY / "Dockerfile").read_text()


def test_what_the_image_copies_is_there_and_let_through() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    let_through = (DEPLOY.parent / ".dockerignore").read_text().splitlines()
    paths = [path for line in copied for path in line.split()]
    assert "deploy/healthcheck.py" in paths
    assert [path for path in paths if f"!{path}" not in let_through or not (DEPLOY.parent / path).exists()] == []


def test_compose_mounts_only_what_is_there_and_asks_for_what_the_example_names() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    mounted = [volume.split(":")[0] for one in services.values() for volume in one.get("volumes", ())]
    assert [path for path in mounted if path.startswith("./") and not (DEPLOY / path).exists()] == []
    example = (DEPLOY / ".env.example").read_text()
    asked = {part.split(":?")[0] for part in text.split("${")[1:]}
    assert [name for name in asked if f"\n{name}=" not in example] == []
