"""Labels keep their type in every file: one, several or none of them, of one output or of several."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from thimble import store
from thimble.files.pipeline import Pipeline
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.head import label_text
from thimble.split.tasks import Workflow, handler
from thimble.tables.answers import answers

CLASSES: dict[str, list[Any]] = {
    "string": ["ham", 'spam, "x"'],
    "integer": [-3, 2**53 + 1],
    "float": [0.5, 2.0],
    "boolean": [False, True],
}
TYPES = {"string": pa.large_string(), "integer": pa.int64(), "float": pa.float64(), "boolean": pa.bool_()}
NETWORK = {"activation": "identity", "coefs": [[[1.0, 0.0], [0.0, 1.0]]], "intercepts": [[0.0, 0.0]]}
LOGITS = [[-1.0, -2.0], [-1.0, 2.0], [3.0, -1.0], [1.0, 1.5]]  # no label, the second, the first, both
ROWS = LOGITS * 6


def document(shape: str, kind: str) -> bytes:
    def head(classes: list[Any], out_activation: str) -> dict[str, Any]:
        return NETWORK | {"classes": classes, "out_activation": out_activation}

    top = {"format": "thimble", "format_version": 1, "name": "labels", "feature_names_in": ["x", "y"]}
    if shape == "several":
        first = head(CLASSES[kind], "softmax") | {"name": "first"}
        return json.dumps(
            top | {"outputs": [first, head(CLASSES[kind], "logistic") | {"name": "2"}]}
        ).encode()
    return json.dumps(top | head(CLASSES[kind], "softmax" if shape == "one" else "logistic")).encode()


def written(rows: list[list[float]], extension: str) -> bytes:
    if extension == "parquet":
        out = io.BytesIO()
        columns = {name: pa.array([row[k] for row in rows], pa.float64()) for k, name in enumerate("xy")}
        pq.write_table(pa.table(columns), out, row_group_size=7)
        return out.getvalue()
    if extension == "csv":
        return ("x,y\n" + "".join(f"{x},{y}\n" for x, y in rows)).encode()
    return "".join(json.dumps({"x": x, "y": y}) + "\n" for x, y in rows).encode()


def read(data: bytes, extension: str) -> list[dict[str, Any]]:
    if extension == "parquet":
        found: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
        return found
    if extension == "csv":
        return list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    return [json.loads(line) for line in data.splitlines()]


def expected(classifier: Classifier, rows: list[list[float]], extension: str) -> Iterator[dict[str, Any]]:
    """The labels of each row, as `predict` and the other door give them; in CSV their text."""
    x, y = zip(*rows, strict=True) if rows else ((), ())
    for answer in (
        answers(classifier, classifier.predict(Batch.of(classifier.features, [list(x), list(y)])))
        if rows
        else ()
    ):
        outputs = answer.get("outputs", {"": answer})
        found = {
            f"{name}.{key}".removeprefix("."): output[key]
            for name, output in outputs.items()
            for key in ("label", "labels")
            if key in output
        }
        yield {key: _cell(label) for key, label in found.items()} if extension == "csv" else found


def _cell(label: Any) -> str:
    if isinstance(label, list):
        return json.dumps(label, separators=(",", ":"))
    return label_text(label)


def labels(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: row[key] for key in row if key.endswith(("label", "labels"))} for row in table]


def results(data: bytes, extension: str, model: bytes) -> tuple[bytes, bytes]:
    """What one function makes of a file, and what many make of its ranges."""
    inbox, key, classifier = MemoryStore(), f"a.{extension}", load(model)
    obstore.put(inbox, key, data)
    pipeline = Pipeline(lambda key: classifier, "memory:///", buckets=lambda name: inbox)
    summary = replace(pipeline, results_uri="memory:///single").classify("inbox", key)
    assert summary is not None
    assert summary["rejections"] == 0, summary
    call = handler(Workflow(pipeline, lambda key, digest: model, "memory:///parts", range_bytes=150))
    planned = call({"task": "plan", "bucket": "inbox", "key": key}, None)
    manifest = planned["manifest"]
    while manifest is not None:
        for item in json.loads(lies(manifest["Key"])):
            call(item, None)
        manifest = call({"task": "assemble", "folder": planned["folder"]}, None).get("manifest")
    return lies(f"single/{key}/result.{extension}"), lies(f"{key}/result.{extension}")


def lies(path: str) -> bytes:
    return bytes(obstore.get(store.object_store("memory:///")[0], path).bytes())


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("shape", ["one", "multilabel", "several"])
def test_a_file_s_labels_are_those_of_predict_and_of_their_type(
    shape: str, kind: str, extension: str
) -> None:
    model = document(shape, kind)
    none = ROWS[:1]  # of the labels of a multilabel model
    for rows in (ROWS, none, none * 15 + ROWS, *([[]] if extension != "jsonl" else [])):
        whole, split = results(written(rows, extension), extension, model)
        assert split == whole
        wanted = list(expected(load(model), rows, extension))
        assert repr(labels(read(whole, extension))) == repr(wanted)  # 1 is not True, nor 1.0
        if extension == "parquet":
            for field in pq.read_schema(io.BytesIO(whole)):
                if field.name.endswith("labels"):
                    assert field.type == pa.large_list(TYPES[kind])
                elif field.name.endswith("label"):
                    assert field.type == TYPES[kind]
