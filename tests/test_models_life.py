"""Publishing while requests run, over the wire: every answer from exactly one version, none lost."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import orjson
import pytest

from thimble.errors import ThimbleError
from thimble.files.pipeline import Pipeline
from thimble.inference.batch import Batch
from thimble.inference.classifier import load
from thimble.inference.document import digest
from thimble.registry import lookup
from thimble.settings import from_environment
from thimble.store import Folder
from thimble.web import gateway, routes
from thimble_infra import publishing
from thimble_infra.publishing import publication, publish

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

IRIS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "model" / "iris.json").read_bytes())
MODELS = "s3://thimble-models/models"
ROWS = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]]


def version(number: int) -> bytes:
    """Its probabilities tell it from every other."""
    last = [b + 0.001 * number * i for i, b in enumerate(IRIS["intercepts"][-1])]
    changed = {key: value for key, value in IRIS.items() if key != "examples"}
    return orjson.dumps(changed | {"intercepts": [*IRIS["intercepts"][:-1], last]})


@pytest.fixture
def folder(s3: "S3Client") -> Folder:
    return Folder(MODELS)


def put(folder: Folder, number: int, name: str = "iris") -> str:
    publish(folder, publication(folder, name, version(number)))
    return digest(version(number))


def door(**environment: str) -> Callable[..., tuple[int, Any]]:
    settings = from_environment({"MODELS_URI": MODELS, "MODEL_NAME": "iris", **environment})
    handle = gateway.handler(routes.app(lookup.models(settings), settings))

    def classify(**query: str) -> tuple[int, Any]:
        context = {"http": {"method": "POST", "path": "/classify"}, "requestId": "id", "stage": "$default"}
        body = json.dumps({"instances": ROWS})
        event = {"rawPath": "/classify", "headers": {}, "body": body, "requestContext": context}
        answer = handle(event | {"queryStringParameters": query}, None)
        return answer["statusCode"], json.loads(answer["body"])

    return classify


def test_while_versions_are_published_every_answer_is_of_exactly_one(folder: Folder) -> None:
    expected = {}
    for number in range(12):
        model = load(version(number))
        columns = [list(column) for column in zip(*ROWS, strict=True)]
        expected[model.digest] = (
            model.predict(Batch.of(model.features, columns)).outputs[0].probabilities.T.tolist()
        )
    put(folder, 0)
    instances = cycle([door(MODEL_REFRESH_SECONDS="0") for _ in range(3)])  # each has a request at a time
    answers: list[tuple[int, Any]] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answers.append(next(instances)())

    asker = threading.Thread(target=ask)
    asker.start()
    for number in range(1, 12):
        last = put(folder, number)
        time.sleep(0.1)
    deadline = time.monotonic() + 10
    while {body["model"]["digest"] for _, body in answers[-3:]} != {last} and time.monotonic() < deadline:
        time.sleep(0.05)
    done.set()
    asker.join()
    assert {status for status, _ in answers} == {200}
    for _, body in answers:
        found = [list(row["probabilities"].values()) for row in body["predictions"]]
        assert found == expected[body["model"]["digest"]]
    assert answers[-1][1]["model"]["digest"] == last
    assert len({body["model"]["digest"] for _, body in answers}) > 3


def test_models_and_versions_are_addressed_in_a_request(folder: Folder) -> None:
    first, second, other = put(folder, 1), put(folder, 2), put(folder, 3, "other")
    classify = door()
    assert classify()[1]["model"]["digest"] == second
    assert classify(version=first[:10])[1]["model"]["digest"] == first
    assert classify(model="other")[1]["model"] == {"name": "other", "digest": other}
    assert classify(model="other", version=first)[0] == 404
    assert classify(model="../iris")[0] == 404
    assert door(MODEL_VERSION=first)()[1]["model"]["digest"] == first


def test_nothing_published_is_a_503_until_something_is(folder: Folder) -> None:
    classify = door()
    assert classify() == (503, {"error": "the model is not available"})
    assert classify(model="iris")[0] == 404
    put(folder, 1)
    assert classify()[0] == 200


def test_of_ten_publishers_at_once_each_is_told_what_became_of_it(folder: Folder) -> None:
    put(folder, 0)
    outcomes: dict[int, bool] = {}
    start = threading.Barrier(10)

    def publisher(number: int) -> None:
        start.wait()
        with suppress(ThimbleError):
            outcomes[number] = False
            put(folder, number)
            outcomes[number] = True

    publishers = [threading.Thread(target=publisher, args=[number]) for number in range(1, 11)]
    for thread in publishers:
        thread.start()
    for thread in publishers:
        thread.join()
    at, _ = publishing.published(folder, "iris")
    told = {digest(version(number)) for number, moved in outcomes.items() if moved}
    assert {at.version, *at.previous} == told | {digest(version(0))}
    assert len(publishing.versions(folder, "iris")) == 11


@pytest.fixture
def doomed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """An S3 of its own, to which the environment points; calling it takes it away."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1").create_bucket(
        Bucket=BUCKET
    )
    running = [True]

    def take_away() -> None:
        if running:
            running.pop()
            server.stop()

    yield take_away
    take_away()


BUCKET = f"models-{uuid4()}"


def test_while_s3_is_away_the_old_model_goes_on(doomed: Callable[[], None]) -> None:
    folder = Folder(f"s3://{BUCKET}/models")
    first = put(folder, 1)
    classify = door(MODELS_URI=f"s3://{BUCKET}/models", MODEL_REFRESH_SECONDS="0.05")
    assert classify()[1]["model"]["digest"] == first
    doomed()
    time.sleep(1.2)
    started = time.monotonic()
    assert [classify()[1]["model"]["digest"] for _ in range(5)] == [first] * 5
    assert time.monotonic() - started < 4  # one of them waits, two seconds at most


def test_a_file_is_classified_by_one_version_from_its_first_byte_to_its_last(
    folder: Folder, s3: "S3Client"
) -> None:
    first = put(folder, 1)
    settings = from_environment({"MODELS_URI": MODELS, "MODEL_NAME": "iris", "MODEL_REFRESH_SECONDS": "0"})
    models = lookup.folders(settings)
    text = "\n".join([",".join(IRIS["feature_names_in"]), *["5.1,3.5,1.4,0.2"] * 20_000])
    s3.put_object(Bucket="thimble-inbox", Key="iris/a.csv", Body=text.encode())
    numbers = iter(range(2, 1000))

    def chosen(key: str) -> Any:
        found = models.get(key)
        put(folder, next(numbers))
        return found

    pipeline = Pipeline(chosen, "s3://thimble-results")
    summary = pipeline.classify("thimble-inbox", "iris/a.csv")
    assert summary is not None
    assert summary["model"] == {"name": "iris", "digest": first}
    result = s3.get_object(Bucket="thimble-results", Key="iris/a.csv/result.csv")["Body"].read().decode()
    assert len(set(result.splitlines()[1:])) == 1
