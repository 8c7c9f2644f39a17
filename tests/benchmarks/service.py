"""The HTTPS door beside the same service written the usual ways, cold and warm, under Lambda's Python.

Cold: whole processes under Lambda's runtime client and emulator, from start to first answer, the model read
from a local S3 over TLS. Each usual way is as `sam build` leaves it, that is without bytecode but for boto3,
which Lambda's runtime ships with its own; and again with bytecode throughout. It is not Lambda, but the same
on all sides.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.benchmarks import forests, lambdas, local_s3
from tests.benchmarks.lambdas import Function
from tests.benchmarks.report import AtMost, Case, Contender, duration
from thimble_infra.build import BUILT, ROOT

COLD_ROUNDS, COLD_SECONDS = 15, 600
FLOOR = AtMost(
    1.4,
    "Above the floor are the imports of obstore, orjson, hashlib and Thimble's own modules, "
    "and the model, which is fetched over TLS, read and proven.",
)
BOTO3 = "The floor alone is most of the goal; the rest are imports, and the model fetched, read and proven."
ROUTE = AtMost(1.0, "Ours holds the forward pass and two lines of log and metrics too.")
FOREST = AtMost(1.1, "The document is fifty times as large: it is fetched, hashed, read and checked.")
RUNTIME = ("awslambdaric", "boto3", "botocore")
SKLEARN = ("numpy", "scipy", "scikit-learn", "joblib")


@dataclass(frozen=True)
class Usual:
    """A service written a usual way, and what Thimble means to take of its time at most."""

    called: str
    module: str
    packages: tuple[str, ...]
    model: str
    as_built: float
    with_bytecode: float


USUAL = (
    Usual(
        "numpy, boto3, Powertools", "numpy_boto3", ("numpy", "aws-lambda-powertools"), "iris.json", 0.22, 0.33
    ),
    Usual("scikit-learn, joblib, boto3", "sklearn_boto3", SKLEARN, "iris.joblib", 0.08, 0.14),
    Usual("onnxruntime, boto3", "onnx_boto3", ("numpy", "onnxruntime"), "iris.onnx", 0.25, 0.36),
)


def cases(folder: Path) -> Iterator[Case]:
    subprocess.run(["make", "--no-print-directory", "build"], cwd=ROOT, check=True, stdout=sys.stderr)
    built = folder / "ApiFunction"  # as it is now, whatever is built meanwhile
    shutil.copytree(BUILT / "ApiFunction", built)
    runtime = lambdas.packages(RUNTIME, bytecode=True)
    plain = lambdas.handlers(folder / "plain", bytecode=False)
    compiled = lambdas.handlers(folder / "compiled", bytecode=True)
    with local_s3.running(folder) as s3:
        _publish(s3)
        registry = s3 | {"MODELS_URI": "s3://bench/models", "MODEL_NAME": "iris"}
        ours = Function("api.handler", (built, runtime), registry)

        def beside(module: str, packages: tuple[str, ...], model: str, *, bytecode: bool) -> Function:
            path = (lambdas.packages(packages, bytecode=bytecode), runtime)
            own = compiled if bytecode else plain
            return Function(f"{module}.handler", (own, *path), s3 | {"MODEL_URI": f"s3://bench/{model}"})

        floor = Function(
            "numpy_alone.handler",
            (compiled, built, runtime),
            {"MODEL_FILE": str(ROOT / "model" / "iris.json")},
        )
        rivals = [Contender("the floor: numpy alone, model on disk", floor.cold, FLOOR)]
        for usual in USUAL:
            for bytecode, how in ((False, "as sam builds"), (True, "bytecode")):
                function = beside(usual.module, usual.packages, usual.model, bytecode=bytecode)
                goal = usual.with_bytecode if bytecode else usual.as_built
                rivals.append(Contender(f"{usual.called}; {how}", function.cold, AtMost(goal, BOTO3)))
        yield Case(
            "cold: process start to first answer",
            Contender("Thimble", ours.cold),
            rivals,
            pairs=COLD_ROUNDS,
            seconds=COLD_SECONDS,
            rehearsed=True,
        )
        forest = replace(ours, environment=registry | {"MODEL_NAME": "forest"}, answers='"probability"')
        yield Case(
            "cold: XGBoost 300 x 6, process start to first answer",
            Contender("Thimble", forest.cold),
            [Contender("the iris model", ours.cold, FOREST)],
            pairs=COLD_ROUNDS,
            seconds=COLD_SECONDS,
            rehearsed=True,
        )
        powertools = ("numpy", "aws-lambda-powertools")
        route = beside("numpy_route", powertools, "iris.json", bytecode=True)
        empty = replace(beside("empty_route", powertools, "iris.json", bytecode=True), answers="{}")
        usual_way = beside("sklearn_powertools", (*SKLEARN, *powertools), "iris.joblib", bytecode=True)
        yield Case(
            "warm: one row, event to response, logged and counted",
            Contender("Thimble", ours.warm),
            [
                Contender("Powertools' route, the same answer, no log, no metrics", route.warm, ROUTE),
                Contender("Powertools' route, empty, no log, no metrics", empty.warm),
                Contender("scikit-learn, Powertools' route, log and metrics", usual_way.warm),
                Contender("the data team's service, as they say", lambda: duration(0.5)),
            ],
        )


def _publish(environment: dict[str, str]) -> None:
    """Iris: in our registry, and as each rival reads it."""
    import boto3
    import joblib
    from skl2onnx import to_onnx

    from thimble_model import examples

    X, _, iris = examples.iris()
    estimator = io.BytesIO()
    joblib.dump(iris, estimator)
    document = (ROOT / "model" / "iris.json").read_bytes()
    graph = to_onnx(iris, X[:1].to_numpy("float32"), options={id(iris): {"zipmap": False}})
    s3 = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        verify=environment["AWS_CA_BUNDLE"],
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
    )
    s3.create_bucket(Bucket="bench")
    bodies = {
        "iris.json": document,
        "iris.joblib": estimator.getvalue(),
        "iris.onnx": graph.SerializeToString(),
    }
    forest = forests.cold_document()
    bodies |= _registry("forest", forest) | _registry("iris", document)
    for key, body in bodies.items():
        s3.put_object(Bucket="bench", Key=key, Body=body)


def _registry(name: str, document: bytes) -> dict[str, bytes]:
    from thimble.registry import pointer

    digest = hashlib.sha256(document).hexdigest()
    return {
        f"models/{pointer.document(name, digest)}": document,
        f"models/{pointer.current(name)}": pointer.dump(pointer.Pointer(digest)),
    }
