"""What a load costs, by infra/prices.json: `python -m infra.costs` prints the tables of infra/README.md."""

import json
from collections.abc import Iterator
from math import ceil
from pathlib import Path

FIGURES = json.loads((Path(__file__).parent / "prices.json").read_bytes())
ASSUMED, MEASURED = FIGURES["assumed"], FIGURES["measured"]
MONTH = ASSUMED["seconds_a_month"]
RATES = (1, 100, 10_000)  # requests a second, every second
TERABYTE = 1e12  # of files a day
PART = 8e6  # bytes of result a PUT
BLOCK = 2e6  # bytes of input a GET


def main() -> None:
    print("\n".join(page()))


def page() -> Iterator[str]:
    yield "| of Lambda | ms | GB-s | dollars |"
    yield "|---|---|---|---|"
    for name, milliseconds, requests in amounts():
        gb = milliseconds / 1000 * ASSUMED["function_gb"]
        yield f"| {name} | {milliseconds:,.0f} | {gb:,.4g} | {lambda_dollars(gb, requests):.2g} |"
    yield ""
    yield "| dollars a month | Thimble | always-on instances | managed inference endpoint |"
    yield "|---|---|---|---|"
    for rate in RATES:
        ours, instances, endpoint = request_dollars(rate)
        yield f"| {rate:,} requests a second | {ours:,.0f} | {instances:,.0f} | {endpoint:,.0f} |"
    ours, instances, endpoint = file_dollars()
    yield f"| 1 TB of files a day | {ours:,.0f} | {instances:,.0f} | {endpoint:,.0f} |"
    yield ""
    yield "| against cold starts | a month, dollars | each start, dollars |"
    yield "|---|---|---|"
    for name, month, start in ready_dollars():
        yield f"| {name} | {month:.2f} | {start:.6f} |"


def amounts() -> Iterator[tuple[str, float, float]]:
    """Milliseconds billed, and calls."""
    billed = ASSUMED["billed_ms_a_request"]
    yield "a request of one row", billed, 1
    yield "a million rows, a request each", billed * 1e6, 1e6
    calls = 1e6 * MEASURED["bytes_a_row"] / MEASURED["range_bytes"]
    yield "a million rows, in a CSV file", calls * call_seconds() * 1000, calls
    yield "a new environment", MEASURED["cold_ms"] * ASSUMED["slower_vcpu"], 0


def ready_dollars() -> Iterator[tuple[str, float, float]]:
    """What is paid whether or not a request comes, and for each new environment."""
    gb = ASSUMED["function_gb"]
    cold = gb * MEASURED["cold_ms"] * ASSUMED["slower_vcpu"] / 1000 * FIGURES["lambda_gb_second"]
    yield "neither", 0, cold
    yield (
        "SnapStart, a published version",
        gb * FIGURES["snapstart_cache_gb_second"] * MONTH,
        gb * FIGURES["snapstart_restore_gb"],
    )
    yield "ProvisionedConcurrency, an environment", gb * FIGURES["provisioned_gb_second"] * MONTH, 0


def call_seconds() -> float:
    """Of a range of a file: the start, the work, and the bytes on their way."""
    moved = MEASURED["range_bytes"] * (1 + MEASURED["result_bytes_a_byte"])
    work = MEASURED["range_seconds"] * ASSUMED["slower_vcpu"]
    seconds: float = ASSUMED["start_seconds"] + work + moved / ASSUMED["s3_bytes_a_second"]
    return seconds


def lambda_dollars(gb_seconds: float, requests: float) -> float:
    dollars: float = (
        gb_seconds * FIGURES["lambda_gb_second"] + requests / 1e6 * FIGURES["lambda_million_requests"]
    )
    return dollars


def http_api_dollars(millions: float) -> float:
    beyond = max(0.0, millions - 300)
    first: float = (millions - beyond) * FIGURES["http_api_million_requests"]
    dollars: float = first + beyond * FIGURES["http_api_million_beyond_300"]
    return dollars


def request_dollars(rate: int) -> tuple[float, float, float]:
    """Ours; instances behind a balancer; an endpoint. A month of a steady rate."""
    n = rate * MONTH
    gb_seconds = n * ASSUMED["billed_ms_a_request"] / 1000 * ASSUMED["function_gb"]
    logs = n * ASSUMED["log_bytes_a_request"] / 1e9 * FIGURES["logs_gb"]
    ours = lambda_dollars(gb_seconds, n) + http_api_dollars(n / 1e6) + logs
    machines = max(ASSUMED["instances_at_least"], ceil(rate / ASSUMED["requests_a_second_an_instance"]))
    hours = MONTH / 3600
    balancer = (
        hours * FIGURES["balancer_hour"] + n * ASSUMED["bytes_a_request"] / 1e9 * FIGURES["balancer_gb"]
    )
    instances = machines * hours * FIGURES["instance_hour"] + balancer + logs
    return ours, instances, machines * hours * FIGURES["endpoint_hour"] + logs


def file_dollars() -> tuple[float, float, float]:
    """Ours; our own code on instances; pandas and scikit-learn in batches on an endpoint's instances."""
    days, calls = MONTH / 86400, TERABYTE / MEASURED["range_bytes"]
    written = TERABYTE * MEASURED["result_bytes_a_byte"]
    puts = (written / PART + calls) / 1000 * FIGURES["s3_put_thousand"]
    requests = puts + TERABYTE / BLOCK / 1000 * FIGURES["s3_get_thousand"]
    parts = written / 1e9 * FIGURES["s3_gb_month"] / days  # kept for a day
    transitions = 3 * calls / 1000 * FIGURES["transitions_thousand"]
    work = lambda_dollars(calls * call_seconds() * ASSUMED["function_gb"], calls)
    ours = days * (work + requests + parts + transitions)
    cores = calls * MEASURED["range_seconds"] * ASSUMED["slower_vcpu"] / 86400
    instances = ceil(cores / ASSUMED["instance_vcpus"]) * MONTH / 3600 * FIGURES["instance_hour"]
    rows = TERABYTE / MEASURED["bytes_a_row"]
    core_hours = rows / MEASURED["pandas_sklearn_rows_a_second"] * ASSUMED["slower_vcpu"] / 3600
    endpoint = days * core_hours / ASSUMED["instance_vcpus"] * FIGURES["endpoint_hour"]
    return ours, instances + days * requests, endpoint + days * requests


if __name__ == "__main__":
    main()
