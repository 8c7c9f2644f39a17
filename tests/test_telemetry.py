"""What a request writes is what Powertools would write."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from thimble import __version__, telemetry

FUNCTIONS = Path(__file__).parents[1] / "functions"
ABOUT: dict[str, Any] = {"method": "POST", "path": "/é", "status": 200, "rows": 3, "request_id": "id"}


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    "trace", [None, "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f;Sampled=1"]
)
def test_a_requests_line_is_powertools_without_the_place_in_the_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, trace: str | None
) -> None:
    if trace:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    written = io.StringIO()
    Logger(service=str(uuid4()), location=None, stream=written).info("request", **ABOUT)
    telemetry.request(**ABOUT)
    [ours] = lines(capsys)
    theirs = json.loads(written.getvalue()) | {"service": "thimble"}
    for line in (ours, theirs):
        assert len(line["timestamp"]) == len("2026-11-23 14:20:37,391+0000")
        line["timestamp"] = line["timestamp"][:14]  # to the hour
    assert ours == theirs


def test_counts_are_written_as_powertools_writes_them(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.count(Requests=1, Rows=3)
    telemetry.count(Rows=4)
    telemetry.request(**ABOUT)
    powertools = EphemeralMetrics(namespace="Thimble", service="thimble")
    for name, value in (("Requests", 1), ("Rows", 3), ("Rows", 4)):
        powertools.add_metric(name, MetricUnit.Count, value)
    powertools.add_metadata("thimble", __version__)
    powertools.flush_metrics()
    _, ours, theirs = lines(capsys)
    assert without_time(ours) == without_time(theirs)


def test_what_guards_a_deployment_is_counted_by_version(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.count(ServerErrors=1)
    telemetry.flush()
    powertools = EphemeralMetrics(namespace="Thimble", service="thimble")
    powertools.add_dimension("version", "$LATEST")
    powertools.add_metric("ServerErrors", MetricUnit.Count, 1)
    powertools.add_metadata("thimble", __version__)
    powertools.flush_metrics()
    ours, theirs = lines(capsys)
    assert without_time(ours) == without_time(theirs)


def test_metrics_with_and_without_a_version_share_a_line_and_no_dimension(
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry.count(ServerErrors=1, ModelRefused=2)
    telemetry.flush()
    [line] = lines(capsys)
    found = [
        (directive["Dimensions"], [metric["Name"] for metric in directive["Metrics"]])
        for directive in line["_aws"]["CloudWatchMetrics"]
    ]
    assert found == [([["version", "service"]], ["ServerErrors"]), ([["service"]], ["ModelRefused"])]


def test_what_is_written_once_is_not_written_again(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.count(Waiting=1)
    telemetry.note(canary_rows=1)
    telemetry.request(**ABOUT)
    assert len(lines(capsys)) == 2
    telemetry.flush()
    telemetry.request(**ABOUT)
    [line] = lines(capsys)
    assert "canary_rows" not in line


def test_numbers_that_are_noted_are_added_up_in_the_requests_line(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.note(canary_rows=2, shadow_failed=1)
    telemetry.note(canary_rows=3)
    telemetry.request(**ABOUT)
    [line] = lines(capsys)
    assert (line["canary_rows"], line["shadow_failed"], line["rows"]) == (5, 1, 3)


@pytest.mark.parametrize("service", ["Łódź", "prüfung", "店", "", "  ", "thimble", "a\tb", "\udcff"])
def test_a_dimension_is_such_that_cloudwatch_takes_it(service: str) -> None:
    """ASCII, and not blank: whatever else is dropped, and the metric with it."""
    program = "from thimble import telemetry; telemetry.count(ServerErrors=1); telemetry.flush()"
    environment = {"PYTHONPATH": str(FUNCTIONS), "POWERTOOLS_SERVICE_NAME": service}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    line = json.loads(done.stdout)
    for name in ("service", "version"):
        assert line[name].isascii()
        assert line[name].isprintable()
        assert 1 <= len(line[name].strip()) <= 1024


def without_time(line: dict[str, Any]) -> dict[str, Any]:
    assert abs(line["_aws"].pop("Timestamp") / 1000 - 1.9e9) < 1e9  # milliseconds
    return line


@pytest.mark.parametrize(("level", "shown"), [("INFO", 1), ("DEBUG", 1), ("WARNING", 0), ("error", 0)])
def test_the_level_of_the_log_is_kept(level: str, shown: int) -> None:
    program = "from thimble import telemetry; telemetry.request(path='/')"
    environment = {"PYTHONPATH": str(FUNCTIONS), "POWERTOOLS_LOG_LEVEL": level}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == shown


def test_an_exception_is_logged_by_powertools_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    program = """
from thimble import telemetry
try:
    1 / 0
except ZeroDivisionError:
    telemetry.exception("it failed")
"""
    environment = {"PYTHONPATH": str(FUNCTIONS)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    line = json.loads(done.stdout)
    assert (line["level"], line["message"], line["service"]) == ("ERROR", "it failed", "thimble")
    assert line["exception_name"] == "ZeroDivisionError"
