"""The structure is a promise too: imports one way, a light cold path, a README that names everything."""

import ast
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from thimble.inference.document import digest
from thimble.registry import pointer
from thimble.registry.pointer import Pointer

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ROOT = Path(__file__).parents[1]
FUNCTIONS = ROOT / "functions"
ENTRIES = ("api", "files", "workflow")
# Each imports only from those before it.
LAYERS = (
    *("errors", "spelling", "encodings", "threads"),
    *(
        f"inference.{name}"
        for name in (
            *("strict_json", "arrays", "cost", "fields", "single", "network", "normal", "features"),
            "asked",
            *("batch", "predictions", "conformal", "head"),
            *("questions", "leaves", "forest", "forest_keys", "outputs"),
            *(
                "reference",
                "steps",
                "preprocessing",
                "document",
                "explain",
                "sets",
                "explained",
                "changes",
                "further",
            ),
            *("straight", "classifier"),
        )
    ),
    *("drift.counting", "drift.recent", "drift.report", "drift.drawing"),
    *(
        f"tables.{name}"
        for name in ("members", "cells", "header", "rows", "tensors", "answers", "npy", "card")
    ),
    *("registry.pointer", "registry.cache", "registry.canary"),
    *(
        f"tables.{name}"
        for name in (
            *("compression", "blocks", "tokens", "dialect", "fast", "csv"),
            *("decimals", "uniform", "jsonlines", "json_array"),
            *("parquet", "formats"),
        )
    ),
    "tables.each",
    "asking",
    *("web.options", "web.codings", "web.media"),
    *("settings", "processors", "telemetry", "credentials", "store"),
    *("registry.prefetch", "registry.refresh", "registry.published", "registry.lookup"),
    *(
        f"files.{name}"
        for name in ("events", "streams", "uploads", "copies", "options", "jobs", "multipart", "pipeline")
    ),
    *(
        f"split.{name}"
        for name in (
            *("ranges", "plan", "range_task"),
            *("assemble", "tasks", "execution"),
        )
    ),
    *("web.app", "web.service", "web.routes", "web.reported", "web.seen", "web.uploads", "web.native"),
    *("web.v1", "web.pages", "web.open_inference", "web.invocations", "web.gateway"),
)
PURE = LAYERS[: LAYERS.index("settings")]
LIBRARIES_OF_THE_CORE = {
    "numpy",
    "orjson",
    "polars",
    "backports",
    "compression",
}  # polars, and zstd by its two names: of the file formats alone
HEAVY = {
    *("aws_lambda_powertools", "boto3", "botocore", "pydantic", "requests", "urllib3"),
    *("sklearn", "scipy", "pandas", "polars", "pyarrow", "aws_xray_sdk"),
    *("asyncio", "concurrent", "email", "http", "logging", "multiprocessing", "socket", "ssl", "subprocess"),
    *("base64", "csv", "decimal", "glob", "hashlib", "ipaddress", "pathlib", "queue", "tempfile", "urllib"),
}
SPOKEN_LATER = {
    *(
        "thimble.inference.asked",
        "thimble.inference.changes",
        "thimble.inference.explained",
        "thimble.inference.further",
    ),
    "thimble.asking",
    *(f"thimble.web.{name}" for name in ("open_inference", "invocations", "v1", "pages")),
    *(
        "thimble.inference.explain",
        "thimble.inference.preprocessing",
        "thimble.inference.conformal",
        "thimble.inference.sets",
        "thimble.inference.steps",
        "thimble.inference.forest",
        "thimble.inference.single",
        "thimble.tables.card",
        "thimble.tables.csv",
        "thimble.tables.npy",
        "thimble.tables.tensors",
        "thimble.web.codings",
        "thimble.drift.report",
        "thimble.drift.drawing",
        "thimble.tables.each",
        "thimble.web.reported",
        "thimble.web.seen",
        "thimble.web.uploads",
        "thimble.credentials",
    ),
    *(
        "thimble.drift.counting",
        "thimble.tables.formats",
        "thimble.split.tasks",
        "thimble.files.pipeline",
    ),
}
NEVER_SHIPPED = {
    "sklearn",
    "scipy",
    "joblib",
    "pandas",
    "moto",
    "pytest",
    "thimble_model",
    "thimble_infra",
    "tests",
}


def sources(name: str) -> list[Path]:
    package = FUNCTIONS / "thimble" / name.replace(".", "/")
    module = package.with_suffix(".py")
    return sorted(package.rglob("*.py")) if package.is_dir() else [module]


def imported(path: Path) -> set[str]:
    """Dotted names of all that a file imports, for type checking's sake or inside a function too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def thimble_modules(path: Path) -> set[str]:
    found = {name for name in imported(path) if name.startswith("thimble.")} - {"thimble.__version__"}
    return {layer_of(name.split(".")[1:3]) for name in found}


def layer_of(names: list[str]) -> str:
    return names[0] if names[0] in LAYERS else ".".join(names[:2])


def test_every_module_has_its_place_in_the_order() -> None:
    top = modules_in(FUNCTIONS / "thimble")
    packages = {layer.split(".")[0] for layer in LAYERS if "." in layer}
    assert packages <= top
    below = {
        f"{package}.{name}" for package in packages for name in modules_in(FUNCTIONS / "thimble" / package)
    }
    assert top - packages | below == set(LAYERS)


def modules_in(folder: Path) -> set[str]:
    found = {path for path in folder.iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    return {path.stem for path in found if not path.name.startswith("__")}


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_one_way(layer: str) -> None:
    allowed = set(LAYERS[: LAYERS.index(layer) + 1])
    for path in sources(layer):
        assert thimble_modules(path) <= allowed, path


@pytest.mark.parametrize("layer", PURE)
def test_the_core_knows_neither_aws_nor_the_world_outside(layer: str) -> None:
    for path in sources(layer):
        roots = {name.split(".")[0] for name in imported(path)}
        assert roots - set(sys.stdlib_module_names) <= LIBRARIES_OF_THE_CORE | {"thimble"}, path
        assert not roots & {"os", "socket", "subprocess", "pathlib"}, path


def test_nothing_that_ships_imports_the_developers_side() -> None:
    shipped = [*FUNCTIONS.rglob("*.py")]
    assert len(shipped) > 50
    for path in shipped:
        assert not {name.split(".")[0] for name in imported(path)} & NEVER_SHIPPED, path


def test_polars_stays_behind_its_seam() -> None:
    using = {path.stem for path in FUNCTIONS.rglob("*.py") if "polars" in imported(path)}
    assert using == {"fast", "features", "columns", "chunks", "notes", "spliced"}


WITHOUT_POLARS = """
import sys
sys.modules["polars"] = None
from thimble.tables import csv, jsonlines, npy
from thimble.inference.features import Feature, Schema
schema = Schema.of([Feature("a", "number", True), Feature("b", "text", True, frozenset({"x"}))], [])
rows = csv.body(b"a,b\\n" + b"1,x\\n,y\\n" * 20, {}).batch(schema, 99)
assert rows.rows == 40 and not rows.faults
assert jsonlines.body(b'{"a": 1, "b": "x"}', {}).batch(schema, 9).texts[1].tolist() == ["x"]
"""


def test_the_api_reads_tables_without_polars() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_POLARS], check=True, env={"PYTHONPATH": str(FUNCTIONS)})


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_is_wiring_only(entry: str) -> None:
    source = (FUNCTIONS / f"{entry}.py").read_text()
    assert len(source.splitlines()) < 25
    assert not [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.If | ast.For | ast.While)
    ]


COLD_START = """
import json, sys
import api
assert api.handler(json.load(sys.stdin), None)["statusCode"] == 200
ours = [module for name, module in sys.modules.items() if name.startswith("thimble")]
classes = {value for module in ours for value in vars(module).values() if isinstance(value, type)}
made = [cls.__qualname__ for cls in classes if hasattr(cls, "__dataclass_fields__")]
print(json.dumps({"modules": list(sys.modules), "dataclasses": made}), file=sys.stderr)
"""


@pytest.fixture
def cold_start(
    s3: "S3Client", aws_environment: dict[str, str], load_event: Callable[[str], dict[str, Any]]
) -> dict[str, list[str]]:
    """What the API's function has loaded and made when it has answered its first request, as in Lambda."""
    document = (ROOT / "model" / "iris.json").read_bytes()
    published = pointer.document("iris", digest(document)), pointer.current("iris")
    for key, body in zip(published, (document, pointer.dump(Pointer(digest(document)))), strict=True):
        s3.put_object(Bucket="thimble-models", Key=f"models/{key}", Body=body)
    libraries = os.pathsep.join([str(FUNCTIONS), sysconfig.get_path("purelib")])
    settings = {"MODELS_URI": "s3://thimble-models/models", "MODEL_NAME": "iris", "PYTHONPATH": libraries}
    done = subprocess.run(
        [sys.executable, "-S", "-s", "-c", COLD_START],
        env=aws_environment | settings,
        input=json.dumps(load_event("classify")),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[str]] = json.loads(done.stderr)
    return found


def test_the_cold_path_of_the_api_is_light(cold_start: dict[str, list[str]]) -> None:
    """By what is loaded, not by the clock."""
    modules = cold_start["modules"]
    assert sorted({name.split(".")[0] for name in modules} & HEAVY) == []
    assert sorted(set(modules) & SPOKEN_LATER) == []
    ours = [name for name in modules if name.split(".")[0] == "thimble"]
    numpys = [name for name in modules if name.split(".")[0] == "numpy"]
    assert len(ours) <= 43
    assert len(modules) - len(ours) - len(numpys) <= 112


def test_the_cold_path_of_the_api_makes_no_dataclass(cold_start: dict[str, list[str]]) -> None:
    """Half a millisecond each; a named tuple takes a tenth of that."""
    assert cold_start["dataclasses"] == []
