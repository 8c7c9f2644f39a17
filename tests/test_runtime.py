"""The built functions alone, under Lambda's own runtime client and emulator, without Docker.

Python runs without its site-packages: it sees the artefact, the layer of the files function, and the runtime
client, so a module that only developers have is missing here as it would be in Lambda.
"""

import csv
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

import pytest
from samcli.yamlhelper import yaml_parse

from tests import emulator, lambda_keys
from tests.lambda_keys import ENDPOINT
from thimble.store import Folder
from thimble_infra import packaging, publishing
from thimble_infra.build import LIMIT, ROOT, digest, lambda_python, size

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Invoke = Callable[[dict[str, Any]], Any]
Start = Callable[[str], Invoke]


def test_the_built_api_says_that_it_is_well(start: Start, load_event: Callable[..., dict[str, Any]]) -> None:
    answer = start("ApiFunction")(load_event("health"))
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["model"]["name"] == "iris"


def test_the_built_api_classifies_a_body_in_text_and_in_base64_alike(
    start: Start, load_event: Callable[..., dict[str, Any]]
) -> None:
    invoke = start("ApiFunction")
    answer = invoke(load_event("classify"))
    assert answer["statusCode"] == 200
    assert [p["label"] for p in json.loads(answer["body"])["predictions"]] == ["setosa", "virginica"]
    assert invoke(load_event("classify_base64"))["body"] == answer["body"]


def test_the_built_files_function_classifies_a_dropped_file(
    start: Start, s3: "S3Client", load_event: Callable[..., dict[str, Any]]
) -> None:
    lines = ["id,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)", "a,5.1,3.5,1.4,0.2"]
    s3.put_object(Bucket="thimble-inbox", Key="iris/iris.csv", Body="\n".join(lines).encode())
    assert start("FilesFunction")(load_event("sqs_s3_put")) == {"batchItemFailures": []}
    result = s3.get_object(Bucket="thimble-results", Key="iris/iris.csv/result.csv")["Body"].read()
    [row] = csv.DictReader(result.decode().splitlines())
    assert (row["id"], row["label"]) == ("a", "setosa")
    summary = s3.get_object(Bucket="thimble-results", Key="iris/iris.csv/summary.json")["Body"].read()
    assert json.loads(summary)["predictions"] == 1


def test_the_built_files_function_passes_over_the_test_event_of_a_new_bucket(
    start: Start, load_event: Callable[..., dict[str, Any]]
) -> None:
    assert start("FilesFunction")(load_event("sqs_s3_test")) == {"batchItemFailures": []}


def test_the_built_api_gets_its_keys_as_under_snapstart_and_goes_on_when_they_have_expired(
    built: Path, runtime_client: Path, load_event: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """Then it is refused, says so in the log, and goes on once it is not."""
    models = [(ROOT / f"model/{name}.json").read_bytes() for name in ("iris", "penguins", "digits")]
    log = tmp_path / "log"
    published = lambda_keys.published(*models)
    with lambda_keys.serving(published, timedelta(seconds=2)) as keys, log.open("wb") as output:
        environment = keys.environment() | {"MODELS_URI": "s3://models/models", "MODEL_NAME": "iris"}
        path = [built / "ApiFunction", runtime_client]
        with emulator.running("api.handler", path, environment, output) as invoke:

            def status(model: str) -> int:
                event = load_event("health", rawPath="/model", queryStringParameters={"model": model})
                answer: dict[str, int] = invoke(event)
                return answer["statusCode"]

            assert status("iris") == 200, log.read_text()
            first = {key for _, key, _ in keys.asked}
            sleep(2.1)
            assert status("penguins") == 200, log.read_text()
            assert first.isdisjoint(key for path, key, _ in keys.asked if "penguins" in path)
            sleep(0.15)  # for a tenth of a second obstore does not ask again
            keys.token = "another"
            assert status("digits") == 503
            assert f"{keys.url}{ENDPOINT} gives no credentials for S3: it answers 401" in log.read_text()
            keys.token = lambda_keys.TOKEN
            assert status("digits") == 200
    assert keys.refused == []


def test_the_artefact_holds_the_functions_and_their_dependencies_and_nothing_else(built: Path) -> None:
    sources = {path.name for path in (ROOT / "functions").iterdir()} - {"__pycache__", "README.md"}
    pinned = (ROOT / "functions/requirements.txt").read_text().splitlines()
    packages = {line.split("==")[0].replace("-", "_") for line in pinned if "==" in line}
    extras = {"__pycache__", "numpy.libs", "typing_extensions.py"}
    found = {path.name for path in (built / "ApiFunction").iterdir() if path.suffix != ".dist-info"}
    assert {name for name in found if not name.endswith(".data")} <= sources | packages | extras
    assert sources <= found


@pytest.mark.parametrize(
    "developers", ["sklearn", "boto3", "pandas", "scipy", "pytest", "moto", "thimble_model", "thimble_infra"]
)
def test_what_only_developers_have_is_not_shipped(built: Path, developers: str) -> None:
    assert not list(built.glob(f"*/{developers}")) + list(built.glob(f"*/python/{developers}"))


def test_no_tests_are_shipped(built: Path) -> None:
    assert not [path for path in built.rglob("tests") if path.is_dir()]


def test_every_module_ships_with_bytecode_that_is_never_checked_against_its_source(built: Path) -> None:
    for source in built.rglob("*.py"):
        bytecode = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        assert bytecode.read_bytes()[4:8] == b"\x01\x00\x00\x00", source


def test_the_functions_share_one_artefact(built: Path) -> None:
    assert digest(built / "ApiFunction") == digest(built / "FilesFunction")


def test_a_function_and_its_layer_stay_a_fifth_under_the_limit_of_lambda(built: Path) -> None:
    assert size(built / "FilesFunction") + size(built / "FilesLayer") <= 0.8 * LIMIT


def test_the_archive_of_the_api_has_25_megabytes_at_most(built: Path, tmp_path: Path) -> None:
    assert packaging.archive(built / "ApiFunction", tmp_path / "api.zip").stat().st_size <= 25_000_000


def test_every_module_of_ours_finds_what_it_imports_in_the_artefact(built: Path) -> None:
    sources = (ROOT / "functions/thimble").rglob("*.py")
    names = [".".join(path.relative_to(ROOT / "functions").with_suffix("").parts) for path in sources]
    program = f"import importlib\nfor name in {names}: importlib.import_module(name)"
    path = os.pathsep.join([str(built / "FilesFunction"), str(built / "FilesLayer/python")])
    subprocess.run(
        [lambda_python(), "-S", "-s", "-c", program],
        env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
    )


@pytest.fixture
def start(
    built: Path, runtime_client: Path, s3: "S3Client", aws_environment: dict[str, str], tmp_path: Path
) -> Iterator[Start]:
    """`start("ApiFunction")` runs a built function, the iris model published, and returns what calls it."""
    models = Folder("s3://thimble-models/models")
    publishing.publish(
        models, publishing.publication(models, "iris", (ROOT / "model/iris.json").read_bytes())
    )
    with ExitStack() as running:

        def start_function(name: str) -> Invoke:
            layers = [built / "FilesLayer/python"] if name == "FilesFunction" else []
            environment = {
                **_environment_in_template(built, name),
                **aws_environment,
                "MODELS_URI": "s3://thimble-models/models",
                "RESULTS_URI": "s3://thimble-results",
            }
            log = tmp_path / f"{name}.log"
            handler = _resources(built)[name]["Properties"]["Handler"]
            path = [built / name, *layers, runtime_client]
            output = running.enter_context(open(log, "wb"))
            return _checked(running.enter_context(emulator.running(handler, path, environment, output)), log)

        yield start_function


def _checked(invoke: Invoke, log: Path) -> Invoke:
    def answer(event: dict[str, Any]) -> Any:
        found = invoke(event)
        assert "errorType" not in (found or {}), log.read_text()
        return found

    return answer


def _resources(built: Path) -> dict[str, Any]:
    resources: dict[str, Any] = yaml_parse((built / "template.yaml").read_text())["Resources"]
    return resources


def _environment_in_template(built: Path, name: str) -> dict[str, str]:
    """What the template gives a function, parameters at their defaults, names of other resources left out."""
    template = yaml_parse((built / "template.yaml").read_text())
    own = template["Resources"][name]["Properties"].get("Environment", {"Variables": {}})
    variables = template["Globals"]["Function"]["Environment"]["Variables"] | own["Variables"]
    defaults = {name: parameter["Default"] for name, parameter in template["Parameters"].items()}
    plain = {
        name: defaults.get(value["Ref"]) if "Ref" in value else value for name, value in variables.items()
    }
    return {name: str(value) for name, value in plain.items() if not isinstance(value, dict)}
