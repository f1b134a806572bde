"""`ecr-governor evidence`: what a cluster names is written whole, or nothing is."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.config import incluster_config

from cli import cluster
from cli.cluster import RESOURCES, Named
from cli.main import main
from ecr_governor.adapters.usage.files import LIMIT, read_file
from ecr_governor.adapters.usage.references import use_of
from tests.fakes import ACCOUNT, REGION
from tests.kubernetes_api import TOKEN, Fault, KubernetesApi, certificate, gone, serving, status

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "evidence.json"
COMMAND = str(Path(sys.executable).parent / "ecr-governor")
NOW = datetime(2026, 11, 26, 2, 0, 0, 700_000, tzinfo=UTC)
OURS = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ELSEWHERE = f"210987654321.dkr.ecr.{REGION}.amazonaws.com"
FORBIDDEN = 'pods is forbidden: User "system:serviceaccount:x:y" cannot list resource "pods" in API group "" at the cluster scope'
Run = Callable[..., tuple[int, str, str]]


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def template(*images: str, **more: Any) -> dict[str, Any]:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return {"template": {"spec": {"containers": containers, **more}}}


def full(api: KubernetesApi) -> KubernetesApi:
    """A cluster in which each image is named by one object alone, in one way."""
    spec = {
        "initContainers": [{"name": "i", "image": f"{OURS}/pod/init:v1"}],
        "containers": [
            {
                "name": "c",
                "image": f"{OURS}/pod/container:v1@{digest(1)}",
                "env": [{"name": "RELATED_IMAGE", "value": f"{OURS}/operator/variable:v1"}, {"name": "KEY", "value": digest(99)}],
                "args": [f"--image={OURS}/operator/argument:v1", f"skopeo copy docker://{OURS}/operator/script oci:x"],
            }
        ],
        "ephemeralContainers": [{"name": "e", "image": f"{OURS}/pod/ephemeral:v1"}],
        "volumes": [
            {"name": "v", "image": {"reference": f"{OURS}/pod/volume:v1", "pullPolicy": "Always"}},
            {"name": "w", "image": {"reference": f"quay.io/volume@{digest(8)}"}},
        ],
    }
    statuses = {
        "initContainerStatuses": [{"image": "resolved", "imageID": f"docker.io/library/init@{digest(2)}"}],
        "containerStatuses": [
            {
                "image": digest(3),
                "imageID": f"docker-pullable://{ELSEWHERE}/pod@{digest(4)}",
                "volumeMounts": [{"volumeStatus": {"image": {"imageRef": f"quay.io/volume@{digest(5)}"}}}],
            }
        ],
        "ephemeralContainerStatuses": [{"image": "busybox", "imageID": f"docker://{digest(6)}"}],
    }
    api.add("pods", "all", {"spec": spec, "status": statuses})
    api.add("pods", "pending", {"spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}, "kube-system")
    api.add("podtemplates", "t", template(f"{OURS}/podtemplate"))
    api.add("replicationcontrollers", "rc", {"spec": template(f"{OURS}/replicationcontroller")})
    api.add("controllerrevisions", "cr", {"data": {"spec": template(f"{OURS}/controllerrevision")}, "revision": 1}, "kube-system")
    api.add("daemonsets", "ds", {"spec": template(f"{OURS}/daemonset")}, "kube-system")
    api.add("deployments", "d", {"spec": {"replicas": 0, **template(f"{OURS}/deployment")}})
    api.add("replicasets", "rs", {"spec": {"replicas": 0, **template(f"{OURS}/replicaset", f"{OURS}/deployment")}})
    api.add("statefulsets", "s", {"spec": template(f"quay.io/statefulset@{digest(7)}")})
    api.add("cronjobs", "cj", {"spec": {"suspend": True, "jobTemplate": {"spec": template(f"{OURS.upper()}/cronjob")}}})
    injected = {"metadata": {"annotations": {"sidecar.example/image": f"{OURS}.cn/job/annotation:v1"}}}
    job = template(f"{ELSEWHERE}/job")
    api.add("jobs", "j", {"spec": {"template": {**job["template"], **injected}}})
    return api


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with serving(KubernetesApi()) as serves:
        serves.add("pods", "one", {"spec": {"containers": [{"name": "c", "image": f"{OURS}/payments/api:v1"}]}})
        yield serves


@pytest.fixture
def empty(api: KubernetesApi) -> KubernetesApi:
    api.objects.clear()
    return api


@pytest.fixture
def run(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    for name in [name for name in os.environ if name.startswith(("AWS_", "KUBE")) or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")

    def run(*arguments: str, **env: str) -> tuple[int, str, str]:
        given = {"KUBECONFIG": str(kubeconfig), **env}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["ecr-governor", "evidence", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ended.value.code or 0), out, err

    return run


def fails(ran: tuple[int, str, str], code: int, *words: str) -> None:
    """Nothing is written, and three lines say why."""
    exit_code, out, err = ran
    assert (exit_code, out) == (code, ""), err
    assert [line[:7] for line in err.splitlines()] == ["error: ", "  why: ", "  do:  "], err
    assert err.isascii()
    for word in words:
        assert word in err


# --- what is written ------------------------------------------------------------------------------------------------------------------


def test_every_place_that_names_an_image_is_in_the_file(run: Run, empty: KubernetesApi) -> None:
    full(empty)
    with time_machine.travel(NOW, tick=False):
        code, out, err = run("collect")
    assert (code, out) == (0, GOLDEN.read_text())
    assert err == "eks-production, as of 2026-11-26 02:00, good until 2026-11-27 02:00 UTC; digests: 8, images: 17, objects read: 11\n"
    assert digest(99) not in out
    told = json.loads(out)
    named = {json.dumps(each) for objects in empty.objects.values() for each in objects}
    # Each image stands in one object alone, so that one kind less would be one image less.
    for text in (*told["images"], *told["digests"]):
        assert sum(text in each for each in named) == (2 if text.endswith("/deployment") else 1), text


@pytest.mark.parametrize("page", [1, 2, 500])
def test_pages_and_order_make_no_difference(run: Run, empty: KubernetesApi, page: int) -> None:
    full(empty)
    empty.page = page
    for objects in empty.objects.values():
        objects.reverse()
    with time_machine.travel(NOW, tick=False):
        _, out, _ = run("collect")
    assert out == GOLDEN.read_text()


def test_what_is_written_is_what_the_deployment_reads(run: Run, empty: KubernetesApi) -> None:
    full(empty)
    code, out, _ = run("collect", "--issuer", "é ☃", "--valid-hours", "168")
    file = read_file(out.encode())
    assert code == 0
    assert (file.issuer, file.expires_at - file.at) == ("é ☃", timedelta(hours=168))
    assert timedelta() <= datetime.now(UTC) - file.at < timedelta(minutes=1)
    assert {use.repository for text in file.images if (use := use_of("x", text, ACCOUNT, REGION))} >= {"pod/container", "cronjob"}


def test_it_is_as_of_when_the_first_list_was_asked_for(run: Run, api: KubernetesApi) -> None:
    answering = api.answer
    with time_machine.travel(NOW, tick=False) as clock:

        def answer(target: str, authorization: str | None) -> tuple[int, Mapping[str, str], bytes]:
            clock.shift(60)
            return answering(target, authorization)

        api.answer = answer  # type: ignore[method-assign]
        _, out, _ = run("collect")
    assert json.loads(out)["at"] == "2026-11-26T02:00:00Z"


def test_a_pod_that_is_known_by_its_digest_alone_is_evidence(run: Run, empty: KubernetesApi) -> None:
    empty.add("pods", "one", {"spec": {"containers": [{"image": "app"}]}, "status": {"containerStatuses": [{"imageID": digest(1)}]}})
    _, out, _ = run("collect")
    told = json.loads(out)
    assert (told["digests"], told["images"]) == ([digest(1)], [])


def test_a_list_whose_pages_are_gone_is_begun_anew(run: Run, empty: KubernetesApi) -> None:
    full(empty)
    empty.page = 1
    empty.faults["pods"] = gone(3)
    with time_machine.travel(NOW, tick=False):
        code, out, err = run("collect")
    assert (code, out) == (0, GOLDEN.read_text())
    assert "objects read: 11" in err, "what was read before is not counted twice"
    assert empty.asked.count("list pods") == 8


def test_a_page_that_went_with_the_one_before_it_is_no_part_of_the_list(run: Run, empty: KubernetesApi) -> None:
    empty.page = 1
    for name in ("first", "second"):
        empty.add("pods", name, {"spec": {"containers": [{"image": f"{OURS}/{name}"}]}})
    empty.faults["pods"] = gone(1)
    vanishing = empty.answer

    def answer(target: str, authorization: str | None) -> tuple[int, Mapping[str, str], bytes]:
        answered = vanishing(target, authorization)
        if answered[0] == 410:
            del empty.objects["pods"][0]
        return answered

    empty.answer = answer  # type: ignore[method-assign]
    _, out, _ = run("collect")
    assert json.loads(out)["images"] == [f"{OURS}/second"]


def test_a_namespace_is_read_alone(run: Run, empty: KubernetesApi) -> None:
    full(empty)
    code, out, _ = run("collect", "--namespace", "kube-system")
    assert code == 0
    assert json.loads(out)["images"] == [f"{OURS}/controllerrevision", f"{OURS}/daemonset"]
    code, both, _ = run("collect", "--namespace", "kube-system", "--namespace", "default", "--namespace", "default")
    assert json.loads(both)["images"] == json.loads(GOLDEN.read_text())["images"]
    assert empty.asked.count("list jobs.batch") == 3


def test_a_custom_resource_is_read_if_it_is_asked_for(run: Run, api: KubernetesApi) -> None:
    api.add("scaledjobs", "sj", {"spec": {"jobTargetRef": template(f"{OURS}/scaled")}})
    arguments = ("collect", "--also", "keda.sh/v1alpha1/scaledjobs")
    for more in ((), ("--namespace", "default")):
        _, out, _ = run(*arguments, *more)
        assert json.loads(out)["images"] == [f"{OURS}/payments/api:v1", f"{OURS}/scaled"]
    assert "list scaledjobs.keda.sh" in api.asked


@pytest.mark.parametrize(
    "also", ["", "scaledjobs", "v1/configmaps", "keda.sh/v1/x/y", "keda.sh/v1/../..", "keda.sh/v1/x?watch=1", "a/v1/b"]
)
def test_what_is_no_custom_resource_is_not_asked_for(run: Run, api: KubernetesApi, also: str) -> None:
    fails(run("collect", "--also", also), 2, "is no resource")
    assert api.asked == []


def test_null_for_no_objects_is_an_empty_list(run: Run, api: KubernetesApi) -> None:
    api.faults["jobs"] = Fault(200, b'{"kind": "JobList", "metadata": {}, "items": null}')
    assert run("collect")[0] == 0


# --- where it is written --------------------------------------------------------------------------------------------------------------


def test_a_file_is_written_whole(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "evidence.json"
    code, printed, err = run("collect", "--out", str(out))
    assert (code, printed) == (0, "")
    assert "eks-production, as of" in err
    assert read_file(out.read_bytes()).images == (f"{OURS}/payments/api:v1",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evidence.json", "kubeconfig"]


def test_what_was_there_stays_if_a_list_fails(run: Run, api: KubernetesApi, tmp_path: Path) -> None:
    out = tmp_path / "evidence.json"
    out.write_text("before")
    api.faults["jobs"] = Fault(403, status(403, "Forbidden", "no"))
    fails(run("collect", "--out", str(out)), 3)
    assert out.read_text() == "before"


@pytest.mark.parametrize("out", [".", "/", "none/evidence.json", "kubeconfig/evidence.json"])
def test_where_no_file_can_be_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.chdir(tmp_path)
    fails(run("collect", "--out", out), 2, "cannot be written")
    assert [path.name for path in tmp_path.iterdir()] == ["kubeconfig"]


def test_a_disk_that_is_full_leaves_no_draft(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    fails(run("collect", "--out", str(tmp_path / "evidence.json")), 2, "No space left on device")
    assert [path.name for path in tmp_path.iterdir()] == ["kubeconfig"]


@pytest.mark.parametrize("issuer", ["", "a" * 257, "\udcff"])
def test_an_issuer_that_nobody_could_read_is_told(run: Run, issuer: str) -> None:
    if issuer:
        fails(run("collect", "--issuer", issuer), 2, "the issuer cannot be written")
    else:
        assert '"issuer": "eks-production"' in run("collect", "--issuer", issuer)[1]


@pytest.mark.parametrize("issuer", [None, "", "a/b", "../a", "-a", "a b", "a" * 129])
def test_nothing_is_delivered_without_a_name_of_its_own(run: Run, api: KubernetesApi, issuer: str | None) -> None:
    fails(run("collect", "--deliver", *(("--issuer", issuer) if issuer is not None else ())), 2, "no issuer to deliver for")
    assert api.asked == []


def test_a_cluster_with_too_many_images_for_one_file_is_told(run: Run, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(run("collect")[1].encode())
    monkeypatch.setattr("cli.evidence.LIMIT", size)
    assert run("collect")[0] == 0
    monkeypatch.setattr("cli.evidence.LIMIT", size - 1)
    fails(run("collect"), 2, "too many images", f"more than {size - 1:,} bytes", "--namespace")


# --- what ends it without a file ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", RESOURCES, ids=str)
def test_a_list_that_may_not_be_read_ends_it(run: Run, api: KubernetesApi, resource: cluster.Resource) -> None:
    api.faults[resource.plural] = Fault(403, status(403, "Forbidden", FORBIDDEN))
    fails(run("collect"), 3, f"error: {resource} may not be read", FORBIDDEN, "docs/examples/evidence-cronjob.yaml")


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (Fault(401, b"Unauthorized\n"), 4, "does not accept the credentials"),
        (Fault(404, b"404 page not found"), 3, "knows no pods"),
        (Fault(400, status(400, "BadRequest", "continue key is not valid")), 3, "HTTP 400: continue key is not valid"),
        (Fault(410, status(410, "Expired", "gone")), 3, "HTTP 410: gone"),
        (Fault(410, b"x" * 9_000), 3, "HTTP 410: Gone"),
        (Fault(204, b""), 3, "HTTP 204"),
        (Fault(200, b""), 3, "Invalid JSON"),
        (Fault(200, b"<html>log in</html>"), 3, "Invalid JSON"),
        (Fault(200, b"[" * 100_000), 3, "could not be listed"),
        (Fault(200, b"[]"), 3, "could not be listed"),
        (Fault(200, b"{}"), 3, "kind: Field required"),
        (Fault(200, b'{"kind": "Status", "metadata": {}, "items": []}'), 3, "kind: "),
        (Fault(200, b'{"kind": "PodList", "metadata": {}}'), 3, "items: Field required"),
        (Fault(200, b'{"kind": "PodList", "items": []}'), 3, "metadata: Field required"),
        (Fault(200, b'{"kind": "PodList", "metadata": {}, "items": ["x"]}'), 3, "items.0"),
        (Fault(200, b'{"kind": "PodList", "metadata": {}, "items": [{"image": "\\ud800"}]}'), 3, "could not be listed"),
        (Fault(200, b'{"kind": "PodList", "metadata": {"continue": 7}, "items": []}'), 3, "metadata.continue"),
        (Fault(200, b'{"kind": "PodList", "metadata": {"continue": "x"}, "items": []}'), 3, "followed by itself"),
        (Fault(200, b'{"kind": "PodList"', headers={"Content-Length": "900", "Connection": "close"}), 3, "cannot be reached"),
        (Fault(403, status(403, "Forbidden", "\x1b[31mred\n\u202eno")), 3, "HTTP 403: [31mred no"),
    ],
)
def test_an_answer_that_is_no_list_ends_it(run: Run, api: KubernetesApi, fault: Fault, code: int, words: str) -> None:
    api.faults["pods"] = fault
    fails(run("collect"), code, words)


def test_pages_that_are_gone_time_and_again_end_it(run: Run, api: KubernetesApi) -> None:
    api.page = 1
    api.add("pods", "two", {})
    api.faults["pods"] = gone(4)
    fails(run("collect"), 3, "gone 4 times")


def test_trouble_that_passes_is_waited_out_and_trouble_that_stays_ends_it(
    run: Run, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "RETRIES", cluster.RETRIES.new(backoff_factor=0.001))
    api.faults["jobs"] = Fault(429, status(429, "TooManyRequests", "slower"), 3, headers={"Retry-After": "0"})
    assert run("collect")[0] == 0
    api.faults["jobs"] = Fault(503, status(503, "ServiceUnavailable", "etcd is away"), 3)
    assert run("collect")[0] == 0
    api.faults["jobs"] = Fault(503, status(503, "ServiceUnavailable", "etcd is away"), 4)
    fails(run("collect"), 3, "HTTP 503: etcd is away")


def test_no_pod_at_all_is_taken_for_a_mistake_unless_it_is_said_to_be_none(run: Run, empty: KubernetesApi) -> None:
    empty.add("deployments", "d", {"spec": template(f"{OURS}/deployment")})
    fails(run("collect"), 3, "there is no pod at all", "--allow-empty")
    code, out, err = run("collect", "--allow-empty")
    assert (code, json.loads(out)["images"]) == (0, [f"{OURS}/deployment"])
    assert err.startswith("there is no pod at all\n")


@pytest.mark.parametrize("namespace", ["production", "", "a/b", "..", "A", "default?limit=1"])
def test_a_namespace_that_is_not_there_is_no_empty_one(run: Run, api: KubernetesApi, namespace: str) -> None:
    fails(run("collect", "--namespace", "default", "--namespace", namespace), 2, "namespace")
    assert not [asked for asked in api.asked if asked.startswith("list")]


def test_a_namespace_that_may_not_be_looked_at_ends_it(run: Run, api: KubernetesApi) -> None:
    api.faults["namespaces"] = Fault(403, status(403, "Forbidden", "no"))
    fails(run("collect", "--namespace", "default"), 3, "the namespace default may not be read")


# --- which cluster --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("{", "is no kubeconfig"),
        ("[]", "is no kubeconfig"),
        ("text", "is no kubeconfig"),
        ("clusters: 7", "is no kubeconfig"),
        ("{clusters: [], users: [], contexts: []}", "current-context"),
        ("{clusters: [{}], users: [7], contexts: [null], current-context: x}", "is no kubeconfig"),
        ("{clusters: [], users: [], contexts: [{name: x, context: {cluster: gone, user: y}}], current-context: x}", "gone"),
        ("\x00", "is no kubeconfig"),
    ],
)
def test_a_damaged_kubeconfig_is_told(run: Run, tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "damaged"
    path.write_text(content)
    fails(run("collect", "--kubeconfig", str(path)), 2, words, str(path))


def test_a_kubeconfig_or_a_context_that_is_not_there_is_told(run: Run, tmp_path: Path) -> None:
    fails(run("collect", "--kubeconfig", str(tmp_path / "none")), 2, "there is no kubeconfig", "none")
    fails(run("collect", "--context", "staging"), 2, "staging")
    fails(run("collect", "--context", "staging", KUBECONFIG=""), 2, "there is no context staging")
    fails(run("collect", KUBECONFIG=""), 2, "there is no cluster to ask")


def test_a_context_may_be_chosen_and_names_the_issuer(run: Run, api: KubernetesApi, tmp_path: Path) -> None:
    clusters = [{"name": name, "cluster": {"server": address}} for name, address in (("here", api.address), ("away", "http://127.0.0.1:1"))]
    contexts = [{"name": f"{name}-context", "context": {"cluster": name, "user": "collector"}} for name in ("here", "away")]
    path = api.kubeconfig(tmp_path / "two", clusters=clusters, contexts=contexts, **{"current-context": "away-context"})
    before = path.read_text()
    _, out, _ = run("collect", "--context", "here-context", KUBECONFIG=f"{tmp_path / 'none'}{os.pathsep}{path}")
    assert json.loads(out)["issuer"] == "here"
    assert path.read_text() == before


def test_a_cluster_that_does_not_answer_is_told(run: Run, api: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "RETRIES", cluster.RETRIES.new(backoff_factor=0.001))
    away = [{"name": "eks-production", "cluster": {"server": "http://127.0.0.1:1"}}]
    fails(run("collect", "--kubeconfig", str(api.kubeconfig(tmp_path / "away", clusters=away))), 3, "cannot be reached")


@pytest.mark.parametrize(
    ("user", "code", "words"),
    [
        ({"token": "another"}, 4, "does not accept the credentials"),
        ({}, 4, "does not accept the credentials"),
        ({"token": f"{TOKEN}\n"}, 2, "cannot be asked"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "false"}}, 4, "process returned 1"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-command"}}, 4, "no-such-command"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "echo", "args": ["x"]}}, 4, "failed to decode"),
    ],
)
def test_credentials_that_are_none_are_told_and_not_shown(
    run: Run, api: KubernetesApi, tmp_path: Path, user: Mapping[str, Any], code: int, words: str
) -> None:
    ran = run("collect", "--kubeconfig", str(api.kubeconfig(tmp_path / "other", user=user)))
    fails(ran, code, words)
    assert TOKEN not in ran[2]


def test_a_command_for_credentials_is_run(run: Run, api: KubernetesApi, tmp_path: Path) -> None:
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": TOKEN}}
    user = {"exec": {"apiVersion": answer["apiVersion"], "command": "echo", "args": [json.dumps(answer)]}}
    assert run("collect", "--kubeconfig", str(api.kubeconfig(tmp_path / "exec", user=user)))[0] == 0


def test_in_a_pod_its_service_account_is_enough(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, chain = certificate(tmp_path)
    token = tmp_path / "token"
    token.write_text(TOKEN)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setattr(cluster, "RETRIES", cluster.RETRIES.new(total=0))
    with serving(KubernetesApi(), chain) as api:
        api.add("pods", "collector", {"spec": {"containers": [{"image": f"{OURS}/platform/ecr-governor"}]}})
        host, port = api.address.removeprefix("https://").split(":")
        env = {"KUBECONFIG": "", "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        code, out, _ = run("collect", "--issuer", "eks", **env)
        assert (code, json.loads(out)["images"]) == (0, [f"{OURS}/platform/ecr-governor"])
        fails(run("collect", **env), 2, "no issuer", "--issuer NAME")
        # Another authority signs for it.
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(certificate(elsewhere)[0]))
        asked = len(api.asked)
        fails(run("collect", "--issuer", "eks", **env), 3, "cannot be reached", "CERTIFICATE_VERIFY_FAILED")
        assert len(api.asked) == asked


def test_whoever_has_no_home_is_asked_for_no_kubeconfig(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    fails(run("collect", KUBECONFIG=""), 2, "there is no cluster to ask")


# --- the example's role, and what is installed ----------------------------------------------------------------------------------------


def test_the_examples_role_allows_what_is_asked_and_nothing_else(run: Run, api: KubernetesApi) -> None:
    manifests = yaml.safe_load_all((ROOT / "docs" / "examples" / "evidence-cronjob.yaml").read_text())
    (role,) = (each for each in manifests if each["kind"] == "ClusterRole")
    allowed = {
        f"{verb} {plural}.{group}".rstrip(".")
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for plural in rule["resources"]
    }
    run("collect")
    assert set(api.asked) == allowed
    assert len(api.asked) == len(allowed)


def test_without_the_extra_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cli.cluster")
    monkeypatch.delattr("cli.cluster")
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    fails(run("collect"), 2, "not installed", "pip install '.[cli,kubernetes]'")


def test_kubernetes_is_imported_only_to_collect() -> None:
    script = (
        "import sys; from cli.main import app\n"
        "for arguments in (['--help'], ['evidence', '--help'], ['evidence', 'collect', '--help'], ['evidence', 'check', '--help']):\n"
        "    app(arguments, standalone_mode=False)\n"
        "import cli.evidence\n"
        "assert not {'kubernetes', 'cli.cluster'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- what names an image --------------------------------------------------------------------------------------------------------------

HOSTS = st.sampled_from([OURS, ELSEWHERE, f"{ACCOUNT}.dkr-ecr-fips.{REGION}.on.aws", f"{OURS}:443", OURS.upper()])
NAMES = st.from_regex(r"([a-z0-9]{1,4}([._-][a-z0-9]{1,3})?/){0,2}[a-z0-9]{2,4}(__[a-z0-9]{1,3})?", fullmatch=True)
TAGS = st.just("") | st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9._-]{0,9}", fullmatch=True)
DIGESTS = st.just("") | st.integers(0, 2**256 - 1).map(lambda number: f"@{digest(number)}")
REFERENCES = st.tuples(HOSTS, st.just("/"), NAMES, TAGS, DIGESTS).map("".join)


def named(value: Any) -> Named:
    found = Named()
    found.add(value)
    return found


@given(REFERENCES, st.sampled_from(["{}", "docker://{}", "--image={}", "a {} b", '{{"image": "{}"}}', "x,{},y"]), st.booleans())
def test_a_reference_to_ecr_is_found_wherever_it_stands_and_proves_the_same(reference: str, around: str, meant: bool) -> None:
    found = named({"metadata": [{"image" if meant else "any": around.format(reference)}]})
    proved = {use_of("x", text, ACCOUNT, REGION) for text in found.images}
    assert proved == {use_of("x", reference, ACCOUNT, REGION)}
    assert found.digests == ({reference.partition("@")[2]} if "@" in reference else set())


@pytest.mark.parametrize("end", [".", "/", "-", ",", ")", "'", "\n", "\x1b[0m", "\u202e", "é"])
def test_what_stands_behind_a_name_is_no_part_of_it(end: str) -> None:
    assert named({"image": f"({OURS}/payments/api{end}"}).images == {f"{OURS}/payments/api"}


@given(st.text(max_size=80) | st.integers() | st.none() | st.lists(st.booleans()))
def test_nothing_else_is_taken_for_an_image(value: Any) -> None:
    found = named({"image": value, "imageID": {"x": [value]}, "env": [{"value": digest(1)}, {"value": f"quay.io/x@{digest(2)}"}]})
    assert (found.digests, found.images) == (set(), set())


def test_a_text_that_only_fills_the_file_is_left_out_at_once() -> None:
    found = named({"image": f"{OURS}/" + "a" * 5_000_000, "other": "1" * 5_000_000 + ".dkr.ecr." * 100_000})
    assert (found.images, found.digests) == (set(), set())


def test_an_object_may_be_as_deep_as_it_likes() -> None:
    deep: Any = {"image": f"{OURS}/deep"}
    for _ in range(100_000):
        deep = [deep]
    assert named(deep).images == {f"{OURS}/deep"}


# --- check ----------------------------------------------------------------------------------------------------------------------------

FILE = {
    "issuer": "eks-production",
    "at": "2026-11-26T02:00:00Z",
    "expires_at": "2026-11-28T02:00:00Z",
    "digests": [digest(1), digest(1)],
    "images": [f"{OURS}/payments/api:v1", "docker.io/library/nginx"],
}


def a_file(folder: Path, name: str = "evidence.json", **changes: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps({**FILE, **changes}))
    return path


@pytest.fixture
def check(run: Run) -> Run:
    def check(*arguments: object) -> tuple[int, str, str]:
        with time_machine.travel(NOW, tick=False):
            return run("check", *map(str, arguments))

    return check


def test_check_says_who_as_of_when_until_when_and_how_many(check: Run, tmp_path: Path) -> None:
    path = a_file(tmp_path)
    told = "eks-production, as of 2026-11-26 02:00, good until 2026-11-28 02:00 UTC; digests: 1, images: 2"
    assert check(path) == (0, f"{path}: {told}\n", "")
    code, out, _ = check(path, "--output", "json")
    assert (code, json.loads(out)) == (
        0,
        [
            {
                "file": str(path),
                "issuer": "eks-production",
                "at": "2026-11-26T02:00:00+00:00",
                "good_until": "2026-11-28T02:00:00+00:00",
                "digests": 1,
                "images": 2,
            }
        ],
    )


def test_check_shows_times_in_utc_and_seven_days_at_most(check: Run, tmp_path: Path) -> None:
    _, out, _ = check(a_file(tmp_path, at="2026-11-26T03:00:00+02:00", expires_at="2027-11-26T03:00:00+02:00"))
    assert "as of 2026-11-26 01:00, good until 2026-12-03 01:00 UTC" in out


def test_check_shows_foreign_names_as_text(check: Run, tmp_path: Path) -> None:
    _, out, _ = check(a_file(tmp_path, issuer="a\x1b[2J\n\u202eb [red]"))
    assert out.endswith(": a[2J b [red], as of 2026-11-26 02:00, good until 2026-11-28 02:00 UTC; digests: 1, images: 2\n")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"issuer": ""}, "issuer: "),
        ({"digests": ["sha256:12"]}, "digests.0: "),
        ({"\x1b[2Jmore": 1}, "[2Jmore: Extra inputs"),
        ({"at": "2026-11-26T02:00:00"}, "timezone"),
        ({"at": "2026-11-26T02:00:01Z"}, "is from the future: 2026-11-26T02:00:01+00:00"),
        ({"at": "9999-12-31T23:59:59Z"}, "is from the future"),
        ({"expires_at": "2026-11-26T01:59:59Z"}, "is stale: it was good until 2026-11-26T01:59:59+00:00"),
        ({"at": "2026-11-19T01:59:59Z"}, "is stale: it was good until 2026-11-26T01:59:59+00:00"),
        ({"images": ["pay\x1b[2Jments/api"]}, "images.0: 'pay[2Jments/api' names neither a registry with a repository nor a digest"),
        ({"images": ["x" * LIMIT]}, "more than 5,000,000 bytes"),
    ],
)
def test_check_refuses_what_would_not_be_relied_on(check: Run, tmp_path: Path, changes: Mapping[str, Any], why: str) -> None:
    fails(check(a_file(tmp_path, **changes)), 2, "evidence.json is no evidence", why)


def test_check_tells_of_every_file(check: Run, tmp_path: Path) -> None:
    good, stale = a_file(tmp_path, "good.json"), a_file(tmp_path, "stale.json", expires_at="2026-11-26T01:00:00Z")
    code, out, err = check(good, stale, tmp_path / "none.json", tmp_path)
    assert (code, out.count("\n")) == (2, 1)
    assert out.startswith(f"{good}: ")
    assert "error: 3 of 4 files are no evidence" in err
    for path, why in ((stale, "is stale"), (tmp_path / "none.json", "No such file"), (tmp_path, "Is a directory")):
        assert any(line.startswith(f"    {path}: ") and why in line for line in err.splitlines()), err


def test_check_accepts_what_collect_wrote(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "evidence.json"
    run("collect", "--out", str(out))
    assert run("check", str(out))[0] == 0


# --- from another process -------------------------------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_ends_it_without_a_traceback(api: KubernetesApi, tmp_path: Path) -> None:
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [COMMAND, "evidence", "collect", "--kubeconfig", str(kubeconfig)], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "error: the file cannot be printed" in done.stderr
