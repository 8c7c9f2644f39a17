"""What a load costs, by infra/prices.json.

`python -m infra.costs` prints the tables of infra/README.md, and `--write` puts them there.
"""

import json
import sys
from collections.abc import Iterable
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any

from infra import marked

PAGE = Path(__file__).parent / "README.md"
PRICES_FILE = Path(__file__).parent / "prices.json"
FIGURES: dict[str, dict[str, Any]] = json.loads(PRICES_FILE.read_bytes())
PRICES = FIGURES["prices"]
ASSUMED, MEASURED = (
    {name: figure["is"] for name, figure in FIGURES[kind].items()} for kind in ("assumed", "measured")
)
MONTH = ASSUMED["seconds_a_month"]
RATES = (1, 100, 10_000)  # requests a second, every second
VOLUMES = {"1 GB": 1e9, "100 GB": 1e11, "10 TB": 1e13}
TERABYTE = 1e12  # of files a day


def main() -> None:
    for name, lines in tables().items():
        print("\n".join([f"{name}:", *lines, ""]))
        if "--write" in sys.argv[1:]:
            marked.write(PAGE, name, lines)


def tables() -> dict[str, list[str]]:
    """The tables of the page by the names that they have there."""
    return {
        "prices": table(
            f"price | {PRICES['of']}", ((f"`{name}`", str(Decimal(str(price)))) for name, price in prices())
        ),
        "measured": table("measured | | the case; whose", measured()),
        "assumed": table("assumed | | why", assumed()),
        "large files": table(
            "input | ranges | a call | the map | assembly | dollars",
            (volume(name, size) for name, size in VOLUMES.items()),
        ),
        "one by one": table("in one | ms of Lambda | GB-s | its dollars | dollars in all", amounts()),
        "a month": table(
            "dollars a month | Thimble | always-on instances | managed inference endpoint", loads()
        ),
        "ready": table("against cold starts | a month, dollars | each start, dollars", ready()),
    }


def table(head: str, rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"| {head} |", "|---" * (head.count("|") + 1) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def prices() -> Iterable[tuple[str, float]]:
    return ((name, price) for name, price in PRICES.items() if name != "of")


def measured() -> Iterable[tuple[str, ...]]:
    for name, figure in FIGURES["measured"].items():
        yield f"`{name}`", f"{Decimal(str(figure['is'])):,f}", f"{figure['case']}; {figure['of']}"


def assumed() -> Iterable[tuple[str, ...]]:
    for name, figure in FIGURES["assumed"].items():
        yield f"`{name}`", f"{figure['is']:,}", figure["why"]


def volume(name: str, size: float) -> tuple[str, ...]:
    """A file of so many bytes, by ranges."""
    ranges = max(1, min(ceil(size / ASSUMED["range_bytes"]), ASSUMED["ranges_at_most"]))
    call, at_a_time = call_seconds(size / ranges), ASSUMED["functions_at_a_time"]
    started = min(ranges, at_a_time) / 1000 * ASSUMED["functions_more_seconds"]
    mapped = ceil(ranges / at_a_time) * call + started
    joined = ranges * copy_seconds(size / ranges) / ASSUMED["copies_at_a_time"]
    dollars = lambda_dollars((ranges * call + joined) * ASSUMED["function_gb"], ranges)
    return (
        f"{name}, {size / ASSUMED['bytes_a_row'] / 1e6:,.0f} million rows",
        f"{ranges:,} of {size / ranges / 1e6:,.0f} MB",
        *(span(seconds) for seconds in (call, mapped, joined)),
        f"{dollars + s3_dollars(size, ranges) + ranges_dollars(size, ranges):,.2f}",
    )


def span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def amounts() -> Iterable[tuple[str, ...]]:
    """What is billed of Lambda; and in all, that is with API Gateway and the log, or with S3 and the map."""
    billed, one = billed_ms(), request_dollars(1)[0] / MONTH
    rows = ASSUMED["range_bytes"] / ASSUMED["bytes_a_row"]
    of_files = file_dollars()[0] / (MONTH / 86400) / (TERABYTE / ASSUMED["bytes_a_row"])
    cold = lambda_dollars(cold_seconds() * ASSUMED["function_gb"], 0)
    for name, milliseconds, requests, dollars in (
        ("a request of one row", billed, 1, one),
        ("a million rows, a request each", billed * 1e6, 1e6, one * 1e6),
        (
            "a million rows, in CSV files",
            call_seconds(ASSUMED["range_bytes"]) / rows * 1e9,
            1e6 / rows,
            of_files * 1e6,
        ),
        ("a new environment", cold_seconds() * 1000, 0, cold),
    ):
        gb_seconds = milliseconds / 1000 * ASSUMED["function_gb"]
        of_lambda = lambda_dollars(gb_seconds, requests)
        yield name, f"{milliseconds:,.0f}", f"{gb_seconds:,.4g}", plain(of_lambda), plain(dollars)


def plain(dollars: float) -> str:
    """Two digits that are not nought, without powers of ten."""
    return f"{Decimal(f'{dollars:.2g}'):f}"


def loads() -> Iterable[tuple[str, ...]]:
    for rate in RATES:
        name = f"{rate:,} request{'s' if rate > 1 else ''} a second"
        yield name, *(f"{dollars:,.0f}" for dollars in request_dollars(rate))
    yield "1 TB of files a day", *(f"{dollars:,.0f}" for dollars in file_dollars())


def ready() -> Iterable[tuple[str, ...]]:
    """What is paid whether or not a request comes, and for each new environment."""
    gb = ASSUMED["function_gb"]
    cold = gb * cold_seconds() * PRICES["lambda_gb_second"]
    kept = gb * PRICES["snapstart_cache_gb_second"] * MONTH
    warm = gb * PRICES["provisioned_gb_second"] * MONTH
    for name, month, start in (
        ("neither", 0, cold),
        ("SnapStart, a published version", kept, gb * PRICES["snapstart_restore_gb"]),
        ("ProvisionedConcurrency, an environment", warm, 0),
    ):
        yield name, f"{month:.2f}", f"{start:.6f}"


def billed_ms() -> int:
    """Of a request of one row."""
    worked: float = MEASURED["request_seconds"] * ASSUMED["slower_vcpu"] * 1000
    more: float = ASSUMED["request_more_ms"]
    return ceil(worked + more)


def cold_seconds() -> float:
    seconds: float = MEASURED["cold_seconds"] * ASSUMED["slower_vcpu"] + ASSUMED["cold_more_seconds"]
    return seconds


def call_seconds(size: float) -> float:
    """Of a range of so many bytes: the start, the work, and the bytes on their way."""
    moved = size * (1 + ASSUMED["result_bytes_a_byte"])
    seconds: float = (
        ASSUMED["start_seconds"]
        + work_seconds(size) * ASSUMED["slower_vcpu"]
        + moved / ASSUMED["s3_bytes_a_second"]
    )
    return seconds


def work_seconds(size: float) -> float:
    """Of the processor that was measured on."""
    seconds: float = size / ASSUMED["bytes_a_row"] / MEASURED["file_rows_a_second"]
    return seconds


def copy_seconds(size: float) -> float:
    """Of a range's result."""
    copied = size * ASSUMED["result_bytes_a_byte"] / ASSUMED["copy_bytes_a_second"]
    seconds: float = ASSUMED["copy_seconds"] + copied
    return seconds


def lambda_dollars(gb_seconds: float, requests: float) -> float:
    dollars: float = (
        gb_seconds * PRICES["lambda_gb_second"] + requests / 1e6 * PRICES["lambda_million_requests"]
    )
    return dollars


def http_api_dollars(millions: float) -> float:
    beyond = max(0.0, millions - 300)
    first: float = (millions - beyond) * PRICES["http_api_million_requests"]
    dollars: float = first + beyond * PRICES["http_api_million_beyond_300"]
    return dollars


def request_dollars(rate: int) -> tuple[float, float, float]:
    """Ours; instances behind a balancer; an endpoint. A month of a steady rate."""
    n = rate * MONTH
    gb_seconds = n * billed_ms() / 1000 * ASSUMED["function_gb"]
    logs = n * ASSUMED["log_bytes_a_request"] / 1e9 * PRICES["logs_gb"]
    ours = lambda_dollars(gb_seconds, n) + http_api_dollars(n / 1e6) + logs
    machines = max(ASSUMED["instances_at_least"], ceil(rate / ASSUMED["requests_a_second_an_instance"]))
    hours = MONTH / 3600
    balancer = hours * PRICES["balancer_hour"] + n * ASSUMED["bytes_a_request"] / 1e9 * PRICES["balancer_gb"]
    instances = machines * hours * PRICES["instance_hour"] + balancer + logs
    return ours, instances, machines * hours * PRICES["endpoint_hour"] + logs


def file_dollars() -> tuple[float, float, float]:
    """Ours; our own code on instances; pandas and scikit-learn in batches on an endpoint's instances."""
    days, calls = MONTH / 86400, TERABYTE / ASSUMED["range_bytes"]
    gb_seconds = calls * call_seconds(ASSUMED["range_bytes"]) * ASSUMED["function_gb"]
    moved = s3_dollars(TERABYTE, calls)
    ours = days * (lambda_dollars(gb_seconds, calls) + moved + ranges_dollars(TERABYTE, calls))
    cores = work_seconds(TERABYTE) * ASSUMED["slower_vcpu"] / 86400
    instances = ceil(cores / ASSUMED["instance_vcpus"]) * MONTH / 3600 * PRICES["instance_hour"]
    rows = TERABYTE / ASSUMED["bytes_a_row"]
    core_hours = rows / MEASURED["pandas_rows_a_second"] * ASSUMED["slower_vcpu"] / 3600
    endpoint = days * core_hours / ASSUMED["instance_vcpus"] * PRICES["endpoint_hour"]
    return ours, instances + days * moved, endpoint + days * moved


def s3_dollars(size: float, ranges: float) -> float:
    """Requests for an input of so many bytes, for its result, and for a copy of each range's."""
    puts = size * ASSUMED["result_bytes_a_byte"] / ASSUMED["put_bytes"] + ranges
    gets = size / ASSUMED["get_bytes"]
    dollars: float = (puts * PRICES["s3_put_thousand"] + gets * PRICES["s3_get_thousand"]) / 1000
    return dollars


def ranges_dollars(size: float, ranges: float) -> float:
    """What a split costs beside: transitions, and a day of the parts."""
    transitions = ranges * ASSUMED["transitions_a_range"] / 1000 * PRICES["transitions_thousand"]
    parts = size * ASSUMED["result_bytes_a_byte"] / 1e9
    dollars: float = transitions + parts * PRICES["s3_gb_month"] / (MONTH / 86400)
    return dollars


if __name__ == "__main__":
    main()
