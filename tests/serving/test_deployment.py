"""The files in deploy/ name options and addresses that exist, and the docs show them as they are."""

import ast
import asyncio
import json
import re
import runpy
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
import yaml
from starlette.requests import Request

from condetr.checkpoint import save
from condetr.cli import app
from condetr.predicting.predictor import Predictor
from tests.serving.served import model, picture, serving, spread_weights

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CONTAINER = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
MANIFEST = (DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")


def parse(words: list[str], weights: Path) -> dict:
    """The options of `condetr serve`, parsed as the command line does. Raises for an unknown one."""
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    return command.make_context("serve", [word.replace("/weights", str(weights)) for word in words]).params


def instruction(name: str) -> list[str]:
    (found,) = re.findall(rf"^{name} (\[.*\])$", CONTAINER, re.M)
    return json.loads(found)


def test_the_container_starts_a_server_with_options_that_exist(tmp_path: Path):
    start = instruction("ENTRYPOINT")
    assert start[:2] == ["condetr", "serve"]
    options = parse([*start[2:], *instruction("CMD")], tmp_path)
    token = Path(options["token_file"])  # not every typer makes it one
    assert (options["host"], options["port"], token) == ("0.0.0.0", 8000, Path("/run/secrets/token"))
    assert re.search(r"^USER 10001:10001$", CONTAINER, re.M)
    (extras,) = re.findall(r"^ARG EXTRAS=(\S+)$", CONTAINER, re.M)
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {extras, *re.findall(r"EXTRAS=serve,(\w+)", CONTAINER)} <= set(offered)
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    for names in re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINER, re.M):
        for name in names.split():
            assert (ROOT / name).exists()
            assert f"!{name.removeprefix('./')}\n" in ignored


def test_the_pods_have_options_and_probes_that_exist(tmp_path: Path):
    deployment, service, budget, policy = yaml.safe_load_all(MANIFEST)
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    options = parse([*instruction("ENTRYPOINT")[2:], *container["args"]], tmp_path)
    assert pod["terminationGracePeriodSeconds"] > 2 * options["timeout"] + 10 + 5
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert policy["spec"]["podSelector"]["matchLabels"] == service["spec"]["selector"]
    assert budget["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert budget["spec"]["maxUnavailable"] < deployment["spec"]["replicas"]
    (spread,) = pod["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == service["spec"]["selector"]
    (port,) = container["ports"]
    assert port["containerPort"] == options["port"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert container["resources"]["limits"]["cpu"] == environment["OMP_NUM_THREADS"]
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert set(mounted.values()) == {volume["name"] for volume in pod["volumes"]}
    assert str(Path(options["token_file"]).parent) in mounted
    with serving(model(), token="secret") as client:
        paths = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
        check = re.search(r"urlopen\('http://127.0.0.1:8000(/\S+)'", CONTAINER)
        assert check is not None
        for path in {*paths, check[1]}:
            assert client("GET", path).status == 200


def test_the_docs_show_the_files_as_they_are():
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    example = (DEPLOY / "ray_serve.py").read_text(encoding="utf-8")
    assert example in page
    assert len(example.splitlines()) < 30
    for block in re.findall(r"^ *```python\n(.*?)^ *```", page, re.M | re.S):
        ast.parse(re.sub(r"^    (?=\S|    )", "", block, flags=re.M) if block.startswith("    ") else block)


def one_by_one(**options: object):
    """Stands for `ray.serve.batch`: each batch has one request."""
    return lambda detect: lambda self, image: first(detect(self, [image]))


async def first(results) -> object:
    return (await results)[0]


def bound(**options: object):
    """Stands for `ray.serve.deployment`: `bind` creates what a replica does."""

    def deployment(replica: type) -> type:
        replica.bind = lambda *arguments: replica(*arguments)  # type: ignore[attr-defined]
        return replica

    return deployment


def test_the_example_for_ray_serve_returns_detections_and_one_line_for_what_is_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    weights = spread_weights()
    save(tmp_path / "runs" / "birds", weights)
    monkeypatch.chdir(tmp_path)
    stand_in = SimpleNamespace(serve=SimpleNamespace(deployment=bound, batch=one_by_one))
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    replica = runpy.run_path(str(DEPLOY / "ray_serve.py"))["app"]

    def post(body: bytes):
        async def receive() -> dict:
            return {"type": "http.request", "body": body}

        return asyncio.run(replica(Request({"type": "http", "method": "POST"}, receive)))

    image = picture(3, (60, 90))
    reply, expected = post(image), Predictor(weights)(image).to_dict()
    assert (reply.status_code, json.loads(reply.body)) == (200, expected)
    assert expected["detections"]
    for body in (b"", b"no image", image[:200]):
        reply = post(body)
        assert (reply.status_code, list(json.loads(reply.body))) == (422, ["error"])
