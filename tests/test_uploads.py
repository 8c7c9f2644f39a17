"""A file from a page into the inbox and back: signed forms and links, bounded, and nobody else's."""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from obstore.exceptions import GenericError

from tests.door import IRIS, get, post, refusal, served
from tests.test_description import DOCUMENT, SCHEMAS
from thimble import store
from thimble.settings import from_environment
from thimble.store import KEY_BYTES
from thimble.tables import compression, formats
from thimble.web import gateway, uploads
from thimble.web.app import App, Request, Response
from thimble.web.uploads import Upload

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

HEADER = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
ROWS = f"{HEADER}5.1,3.5,1.4,0.2\n6.3,x,6.0,2.5\n6.3,3.3,6.0,2.5\n"
OPEN = {
    "INBOX_URI": "s3://thimble-inbox",
    "RESULTS_URI": "s3://thimble-results",
    "UPLOAD_BYTES": "1000000",
}
ALICE, BOB = "https://issuer.example.com alice", "https://issuer.example.com bob"


@pytest.fixture
def app(s3: "S3Client") -> App:
    uploads._s3.cache_clear()
    return served(IRIS, **OPEN)


def begun(
    app: App, name: str = "january.csv", size: int = len(ROWS), caller: str = ALICE, query: Any = None
) -> Any:
    body = json.dumps({"name": name, "bytes": size}).encode()
    answer = app(Request("POST", "/uploads", body, query=query or {}, caller=caller))
    assert answer.status == 201, answer.body
    assert answer.headers["cache-control"] == "no-store"
    return json.loads(answer.body)


def state(app: App, upload: str, caller: str = ALICE) -> Any:
    answer = app(Request("GET", "/uploads", query={"id": upload}, caller=caller))
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def sent(form: dict[str, Any], data: bytes) -> int:
    """Send a form as a browser does."""
    boundary = "----thimble"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form["fields"].items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    body = "".join([*parts, head]).encode() + data + f"\r\n--{boundary}--\r\n".encode()
    kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
    with urlopen(HttpRequest(form["url"], body, kind, method="POST")) as answer:
        return int(answer.status)


def policy(form: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(form["fields"]["policy"]))


def test_a_file_goes_up_by_the_form_is_classified_and_comes_down_by_links(app: App, classify: Any) -> None:
    upload = begun(app)
    assert state(app, upload["id"])["state"] == "waiting"
    assert sent(upload["upload"], ROWS.encode()) == 204
    working = state(app, upload["id"])
    assert (working["state"], working["bytes"]) == ("working", len(ROWS))
    classify(upload)
    done = state(app, upload["id"])
    assert (done["state"], done["rows"], done["predictions"], done["rejections"]) == ("done", 3, 2, 1)
    assert [each["rows"] for each in done["classes"]] == [1, 0, 1]
    assert done["drift"]["rows"] == 2
    result, rejected = (_downloaded(done[kind]) for kind in ("result", "rejected"))
    assert result[0].splitlines()[1].startswith(b"5.1,3.5,1.4,0.2,setosa,")
    assert json.loads(rejected[0])["line"] == 3
    assert [name for _, name in (result, rejected)] == ["january-result.csv", "january-rejections.jsonl"]
    assert done["result"]["bytes"] == len(result[0])
    schema = {"$ref": f"{DOCUMENT}#/components/schemas/UploadState"}
    for one in (working, done):
        Draft202012Validator(schema, registry=SCHEMAS).validate(one)


@pytest.fixture
def classify(entry: Any, load_event: Any) -> Callable[[dict[str, Any]], None]:
    """The files function, told by S3 what has arrived."""
    handler = entry("files")

    def announced(upload: dict[str, Any]) -> None:
        event = load_event("sqs_s3_put")
        [record] = event["Records"]
        record["body"] = record["body"].replace("iris/iris.csv", upload["upload"]["fields"]["key"])
        assert handler(event, None) == {"batchItemFailures": []}

    return announced


def _downloaded(link: dict[str, Any]) -> tuple[bytes, str]:
    """What a link leads to, and as what a browser keeps it."""
    with urlopen(link["url"]) as answer:
        said = answer.headers["content-disposition"]
        return answer.read(), unquote(said.partition("filename*=UTF-8''")[2])


def test_the_options_of_a_file_are_signed_into_its_form(app: App, s3: "S3Client") -> None:
    query = {"abstain_below": "0.999", "header": "present", "delimiter": "tab", "max_rejected_share": "0.5"}
    said = {f"thimble-{name.replace('_', '-')}": text for name, text in query.items()}
    form = begun(app, query=query)["upload"]
    for key, text in said.items():
        assert form["fields"][f"x-amz-meta-{key}"] == text
        assert {f"x-amz-meta-{key}": text} in policy(form)["conditions"]
    assert sent(form, ROWS.encode()) == 204
    assert s3.head_object(Bucket="thimble-inbox", Key=form["fields"]["key"])["Metadata"] == said


def test_a_file_sent_with_options_gets_what_they_ask_for(app: App, classify: Any) -> None:
    upload = begun(app, query={"abstain_below": "0.999", "header": "present"})
    assert sent(upload["upload"], ROWS.encode()) == 204
    classify(upload)
    done = state(app, upload["id"])
    assert (done["state"], done["predictions"], [each["rows"] for each in done["classes"]]) == (
        "done",
        2,
        [0] * 3,
    )
    assert b",the probability 0.9983 is below 0.999\n" in _downloaded(done["result"])[0]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (
            "explain=two",
            "explain is 'two': it has to be true (or all), false, or how many contributions to show",
        ),
        ("header=maybe", "the header 'maybe' is neither present nor absent"),
        ("coverage=0.9", "the model has no thresholds for sets: "),
        ("coverage=0.9", "; change coverage, or leave it out"),
        ("explian=2", 'there is no parameter "explian" here; did you mean "explain"?'),
        ("class=setosa", 'there is no parameter "class" here'),
        ("delimiter=%20", "the parameter delimiter is empty"),
    ],
)
def test_options_that_cannot_be_are_refused_before_the_file_is_sent(query: str, sentence: str) -> None:
    asked = post(f"/uploads?{query}", {"name": "a.csv", "bytes": 1}, served(IRIS, **OPEN))
    assert sentence in refusal(asked, 400)


def test_a_file_that_is_refused_says_why(app: App, classify: Any) -> None:
    upload = begun(app, "bad.csv", 8)
    sent(upload["upload"], b"a,b\n1,2\n")
    classify(upload)
    refused = state(app, upload["id"])
    assert refused["state"] == "refused"
    assert "the header lacks" in refused["error"]
    assert "result" not in refused


def test_a_result_of_an_earlier_file_under_the_same_key_is_not_this_one_s(app: App, classify: Any) -> None:
    upload = begun(app)
    sent(upload["upload"], ROWS.encode())
    classify(upload)
    sent(upload["upload"], ROWS.replace("5.1", "4.9").encode())
    assert state(app, upload["id"])["state"] == "working"


def test_results_that_cannot_be_read_are_an_outage(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = begun(app)
    sent(upload["upload"], ROWS.encode())

    def broken(*_: Any, **__: Any) -> Any:
        raise GenericError("S3 does not answer")

    monkeypatch.setattr(obstore, "get", broken)
    answer = app(Request("GET", "/uploads", query={"id": upload["id"]}, caller=ALICE))
    assert refusal(answer, 503) == "the model is not available"


def test_a_look_at_a_file_opens_each_bucket_once(
    app: App, classify: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begun(app)
    sent(upload["upload"], ROWS.encode())
    classify(upload)
    opened: list[str] = []
    plain = store.bucket

    def counted(name: str) -> Any:
        opened.append(name)
        return plain(name)

    monkeypatch.setattr(store, "bucket", counted)
    assert state(app, upload["id"])["state"] == "done"
    assert opened == ["thimble-inbox", "thimble-results"]


def test_nobody_else_s_id_leads_to_a_file(app: App) -> None:
    upload = begun(app, caller=ALICE)
    sent(upload["upload"], ROWS.encode())
    assert state(app, upload["id"], ALICE)["state"] == "working"
    for other in (BOB, "", f"{ALICE} "):
        assert state(app, upload["id"], other)["state"] == "waiting"


def test_no_two_keys_are_the_same_and_none_can_be_guessed(app: App) -> None:
    keys = {begun(app)["upload"]["fields"]["key"] for _ in range(20)}
    tokens = {key.split("/")[3] for key in keys}
    assert len(tokens) == 20
    assert all(len(base64.urlsafe_b64decode(token)) == uploads.TOKEN_BYTES >= 16 for token in tokens)
    assert {key.split("/")[:2] == ["iris", "uploads"] for key in keys} == {True}


def test_the_form_takes_this_key_and_this_size_and_no_other_for_a_while(app: App) -> None:
    before = time.time()
    form = begun(app, size=12345)["upload"]
    found = policy(form)
    assert ["content-length-range", 12345, 12345] in found["conditions"]
    assert {"key": form["fields"]["key"]} in found["conditions"]
    assert {"bucket": "thimble-inbox"} in found["conditions"]
    ends = time.mktime(time.strptime(found["expiration"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    assert uploads.SECONDS - 2 <= ends - before <= uploads.SECONDS + 60


def test_the_form_is_signed_as_s3_checks_it(app: App) -> None:
    """Version 4, by hand: the policy's base64 under the key of the day."""
    fields = begun(app)["upload"]["fields"]
    scope = fields["x-amz-credential"].split("/")
    key = b"AWS4test"
    for part in scope[1:]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    assert fields["x-amz-signature"] == hmac.new(key, fields["policy"].encode(), hashlib.sha256).hexdigest()


def test_the_folder_names_the_model_and_the_version_that_is_asked_for(app: App) -> None:
    digest = json.loads(get("/health", app).body)["model"]["digest"]
    for query, folder in (({}, "iris"), ({"version": digest[:12]}, f"iris@{digest}")):
        assert begun(app, query=query)["upload"]["fields"]["key"].split("/")[0] == folder
    assert post("/uploads?model=nothing", {"name": "a.csv", "bytes": 1}, app).status == 404


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"bytes": 1}, 400, "the name of the file is missing"),
        ({"name": "a.csv"}, 400, "bytes is the size of the file"),
        ({"name": "a.csv", "bytes": 0}, 400, "bytes is the size of the file"),
        ({"name": "a.csv", "bytes": True}, 400, "bytes is the size of the file"),
        ({"name": "a.csv", "bytes": 1.5}, 400, "bytes is the size of the file"),
        ({"name": "a.csv", "bytes": 1_000_001}, 413, "the file has 1000001 bytes; the most is 1000000"),
        ({"name": "a.csv", "bytes": 10**20}, 413, f"the file has {10**20} bytes; the most is 1000000"),
        ({"name": "../a.csv", "bytes": 1}, 400, "the name is a path"),
        ({"name": "a\n.csv", "bytes": 1}, 400, "the name is a path or has control characters"),
        ({"name": "a" * 600 + ".csv", "bytes": 1}, 400, "the name has 604 bytes"),
        ({"name": "a.xlsx", "bytes": 1}, 400, "the name says no format that is read here"),
        ({"name": "a.parquet.gz", "bytes": 1}, 400, "Parquet is compressed within"),
        ({"name": "csv", "bytes": 1}, 400, "the name says no format"),
        ({"name": "a.csv", "bytes": 1, "key": "x"}, 400, 'the body has an unknown key "key"'),
        ({"name": "a.csv", "bytes": 1, "model": "iris"}, 400, "send it in the URL"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_a_sentence(body: Any, status: int, sentence: str) -> None:
    assert sentence in refusal(post("/uploads", body, served(IRIS, **OPEN)), status)


@pytest.mark.parametrize(
    "name", ["a.csv", "a b+c%.csv", "ä\u0308.jsonl.gz", "x" * 590 + ".parquet", "=1.csv"]
)
def test_a_name_comes_back_as_it_was(app: App, s3: "S3Client", name: str) -> None:
    upload = begun(app, name, 3)
    sent(upload["upload"], b"abc")
    assert state(app, upload["id"]) | {"id": ""} == {
        "id": "",
        "name": name,
        "state": "working",
        "bytes": 3,
        "error": None,
    }
    [stored] = s3.list_objects_v2(Bucket="thimble-inbox")["Contents"]
    assert stored["Key"] == upload["upload"]["fields"]["key"]
    assert len(stored["Key"].encode()) + len("/rejections.jsonl") < KEY_BYTES


def test_the_longest_key_has_room_for_its_result() -> None:
    longest = Upload("m" * 100 + "@" + "f" * 64, uploads._token(), "é" * (uploads.LONGEST_NAME // 2))
    assert len(longest.key(ALICE).encode()) + len("/rejections.jsonl") <= KEY_BYTES


@given(
    st.text(max_size=40)
    | st.binary(max_size=60).map(lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="))
)
def test_an_id_that_was_never_given_is_a_404(text: str) -> None:
    if text.strip():
        answer = served(IRIS, **OPEN)(Request("GET", "/uploads", query={"id": text}))
        assert "the id is none that" in refusal(answer, 404)


@pytest.mark.parametrize("folder", ["..", "", ".", "a" * 400])
@pytest.mark.parametrize("name", ["a.csv", "..", "x/../../y.csv"])
def test_an_id_leads_nowhere_but_below_uploads(folder: str, name: str) -> None:
    made = Upload(folder, uploads._token(), name).id
    assert served(IRIS, **OPEN)(Request("GET", "/uploads", query={"id": made})).status == 404


def test_where_uploads_are_off_there_are_none() -> None:
    for answer in (post("/uploads", {"name": "a.csv", "bytes": 1}), get("/uploads?id=abc")):
        assert "switches them on by the parameter Uploads" in refusal(answer, 404)
    assert json.loads(get("/uploads").body) == {"open": False}
    told = json.loads(get("/uploads", served(IRIS, **OPEN)).body)
    assert (told["open"], told["max_bytes"], told["seconds"]) == (True, 1_000_000, uploads.SECONDS)


def test_the_endings_are_those_that_files_have() -> None:
    for ending in uploads.endings():
        assert formats.named(f"a{ending}").format
    assert {*uploads.FORMATS, *uploads.WHOLE} == formats.EXTENSIONS.keys()
    assert set(uploads.PACKED) == compression.BY_EXTENSION.keys()


def test_a_page_may_send_to_the_address_that_the_form_names(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = from_environment(OPEN)
    assert uploads.origin(from_environment({})) == ""
    for endpoint in (None, "https://s3.eu-west-1.amazonaws.com", "https://s3.cn-north-1.amazonaws.com.cn"):
        if endpoint:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        uploads._s3.cache_clear()
        url = urlsplit(begun(app)["upload"]["url"])
        assert uploads.origin(settings) == f"{url.scheme}://{url.netloc}"
    assert uploads.origin(settings) == "https://thimble-inbox.s3.cn-north-1.amazonaws.com.cn"
    uploads._s3.cache_clear()


def test_who_calls_is_who_api_gateway_has_checked() -> None:
    """A token's issuer and subject, or the role or user that signed, whatever the session is called."""
    seen = []

    def app(request: Request) -> Response:
        seen.append(request.caller)
        return Response(200)

    context = {"http": {"method": "GET", "path": "/"}}
    for authorizer in (
        None,
        {"jwt": {"claims": {"iss": "https://a", "sub": "alice"}, "scopes": None}},
        {"jwt": {"claims": {"iss": "https://b", "sub": "alice"}}},
        {"iam": {"userId": "AROAEXAMPLE:one", "accountId": "1"}},
        {"iam": {"userId": "AROAEXAMPLE:two", "accountId": "1"}},
    ):
        about = context | ({"authorizer": authorizer} if authorizer else {})
        gateway.handler(app)({"rawPath": "/", "requestContext": about}, None)
    assert seen == ["", "https://a alice", "https://b alice", "AROAEXAMPLE", "AROAEXAMPLE"]


def test_an_upload_s_id_is_in_no_line_of_the_log(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    upload = begun(app)
    state(app, upload["id"])
    said = capsys.readouterr().out
    assert upload["id"] not in said
    assert upload["upload"]["fields"]["key"].split("/")[3] not in said


def test_the_running_stack_takes_a_file_from_another_origin(local_stack: Any, tmp_path: Path) -> None:
    """As a browser does it, with the questions that it asks before."""
    asked = HttpRequest(
        f"{local_stack.url}/uploads",
        json.dumps({"name": "march.csv", "bytes": len(ROWS)}).encode(),
        {"content-type": "application/json"},
    )
    with urlopen(asked) as answer:
        upload = json.load(answer)
    url = upload["upload"]["url"]
    before = {"origin": local_stack.url, "access-control-request-method": "POST"}
    with urlopen(HttpRequest(url, headers=before, method="OPTIONS")) as answer:
        assert answer.headers["access-control-allow-origin"] in ("*", local_stack.url)
    assert sent(upload["upload"], ROWS.encode()) == 204
    for _ in range(300):
        with urlopen(f"{local_stack.url}/uploads?id={upload['id']}") as answer:
            found = json.load(answer)
        if found["state"] == "done":
            break
        time.sleep(0.1)
    assert (found["state"], found["predictions"]) == ("done", 2)
    assert _downloaded(found["result"])[1] == "march-result.csv"
    assert re.search(r"^5\.1,3\.5,1\.4,0\.2,setosa,", _downloaded(found["result"])[0].decode(), re.MULTILINE)
