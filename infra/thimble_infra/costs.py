"""Compute what a load costs, with the prices of prices.json.

`python -m thimble_infra.costs` prints the tables of infra/README.md, and `--write` writes them there.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from math import ceil
from pathlib import Path

from thimble_infra import bill, page_blocks
from thimble_infra.figures import ASSUMED, FIGURES, MEASURED, MONTH, PRICES

PAGE = Path(__file__).parents[1] / "README.md"
RATES = (1, 100, 10_000)  # requests per second, every second
MONTHS = (0, 1_000, 1_000_000)  # requests per month
VOLUMES = {"1 GB": 1e9, "100 GB": 1e11, "10 TB": 1e13}
FILE = 1e10
TERABYTE = 1e12  # bytes of files per day
MEMORIES = (512, 768, 1024, 1280, 1536, 1769)
ONE_PROCESSOR = 1769  # megabytes of memory that get one processor; fewer get a share of it


def main() -> None:
    for name, lines in tables().items():
        print("\n".join([f"{name}:", *lines, ""]))
        if "--write" in sys.argv[1:]:
            page_blocks.write(PAGE, name, lines)


def tables() -> dict[str, list[str]]:
    """Return the page's tables by their names there."""
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
        "bill": table(
            "a month, dollars | " + " | ".join(f"{n:,} requests" for n in MONTHS),
            billed(
                [bill.month(n) for n in MONTHS], {"with KmsKeyArn, beside it": bill.month_of_the_key}, MONTHS
            ),
        ),
        "bill of a file": table(
            "a CSV of 10 GB | dollars",
            billed(
                [bill.file(FILE)],
                {
                    "with KmsKeyArn, beside it": bill.file_of_the_key,
                    "input and result kept a month, beside it": bill.kept,
                    "the result fetched over the internet, beside it": bill.fetched,
                },
                [FILE],
            ),
        ),
        "one by one": table("in one | ms of Lambda | GB-s | its dollars | dollars in all", amounts()),
        "memory": table(
            "ApiMemory | of a processor | a cold start, ms | dollars | a request, ms | a million, dollars",
            memories(),
        ),
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


def billed(
    bills: Sequence[bill.Items], beside: Mapping[str, Callable[[float], float]], of: Sequence[float]
) -> Iterable[tuple[str, ...]]:
    """Yield the rows of bills side by side, their sums, and the extra costs `beside` them, to the cent."""
    for item in bills[0]:
        yield item, *(cents(items[item]) for items in bills)
    yield "**in all**", *(f"**{sum(items.values()):,.2f}**" for items in bills)
    for name, dollars in beside.items():
        yield name, *(cents(dollars(n)) for n in of)


def cents(dollars: float) -> str:
    return "under 0.01" if 0 < dollars < 0.005 else f"{dollars:,.2f}"


def volume(name: str, size: float) -> tuple[str, ...]:
    """Return the table's row for a file of `size` bytes, split into ranges."""
    ranges = bill.ranges_of(size)
    call, at_a_time = bill.call_seconds(size / ranges), ASSUMED["functions_at_a_time"]
    started = min(ranges, at_a_time) / 1000 * ASSUMED["functions_more_seconds"]
    mapped = ceil(ranges / at_a_time) * call + started
    return (
        f"{name}, {size / ASSUMED['bytes_a_row'] / 1e6:,.0f} million rows",
        f"{ranges:,} of {size / ranges / 1e6:,.0f} MB",
        *(span(seconds) for seconds in (call, mapped, bill.joined_seconds(size, ranges))),
        f"{sum(bill.file(size).values()):,.2f}",
    )


def span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def amounts() -> Iterable[tuple[str, ...]]:
    """Yield what Lambda bills, and what all services bill: also API Gateway and logs, or S3 and the map."""
    billed, one = bill.billed_ms(), per_request()
    rows, calls = ASSUMED["range_bytes"] / ASSUMED["bytes_a_row"], TERABYTE / ASSUMED["range_bytes"]
    of_files = files_a_day() / (calls * rows)
    cold = bill.lambda_dollars(bill.cold_seconds() * ASSUMED["function_gb"], 0)
    for name, milliseconds, requests, dollars in (
        ("a request of one row", billed, 1, one),
        ("a million rows, a request each", billed * 1e6, 1e6, one * 1e6),
        (
            "a million rows, in CSV files",
            bill.call_seconds(ASSUMED["range_bytes"]) / rows * 1e9,
            1e6 / rows,
            of_files * 1e6,
        ),
        ("a new environment", bill.cold_seconds() * 1000, 0, cold),
    ):
        gb_seconds = milliseconds / 1000 * ASSUMED["function_gb"]
        of_lambda = bill.lambda_dollars(gb_seconds, requests)
        yield name, f"{milliseconds:,.0f}", f"{gb_seconds:,.4g}", plain(of_lambda), plain(dollars)


def memories() -> Iterable[tuple[str, ...]]:
    """Yield cold starts and requests by memory. The processor grows with the memory, up to a whole one."""
    for megabytes in MEMORIES:
        gb, share = megabytes / 1024, megabytes / ONE_PROCESSOR
        cold, one = bill.cold_seconds(share), bill.billed_ms(share)
        yield (
            str(megabytes),
            f"{share:.2f}",
            f"{cold * 1000:,.0f}",
            plain(bill.lambda_dollars(cold * gb, 0)),
            str(one),
            f"{bill.lambda_dollars(one * 1000 * gb, 1e6):.2f}",
        )


def per_request() -> float:
    """Return the dollars of a request at one per second, without the fixed costs of a month."""
    return (sum(bill.month(MONTH).values()) - sum(bill.month(0).values())) / MONTH


def plain(dollars: float) -> str:
    """Return dollars with two significant digits, without an exponent."""
    return f"{Decimal(f'{dollars:.2g}'):f}"


def loads() -> Iterable[tuple[str, ...]]:
    for rate in RATES:
        name = f"{rate:,} request{'s' if rate > 1 else ''} a second"
        yield name, *(f"{dollars:,.0f}" for dollars in request_dollars(rate))
    yield "1 TB of files a day", *(f"{dollars:,.0f}" for dollars in file_dollars())


def ready() -> Iterable[tuple[str, ...]]:
    """Yield what is paid per month without any request, and for each new environment."""
    gb = ASSUMED["function_gb"]
    cold = gb * bill.cold_seconds() * PRICES["lambda_gb_second"]
    kept = gb * PRICES["snapstart_cache_gb_second"] * MONTH
    warm = gb * PRICES["provisioned_gb_second"] * MONTH
    for name, month, start in (
        ("neither", 0, cold),
        ("SnapStart, a published version", kept, gb * PRICES["snapstart_restore_gb"]),
        ("ProvisionedConcurrency, an environment", warm, 0),
    ):
        yield name, f"{month:.2f}", f"{start:.6f}"


def request_dollars(rate: float) -> tuple[float, float, float]:
    """Return a month's dollars at a steady rate: ours, instances behind a load balancer, an endpoint."""
    n = rate * MONTH
    logs = n * ASSUMED["log_bytes_a_request"] / 1e9 * PRICES["logs_gb"]
    sent = n * ASSUMED["bytes_an_answer"] / 1e9 * PRICES["internet_gb"]
    machines = max(ASSUMED["instances_at_least"], ceil(rate / ASSUMED["requests_a_second_an_instance"]))
    hours = MONTH / 3600
    balancer = hours * PRICES["balancer_hour"] + n * ASSUMED["bytes_a_request"] / 1e9 * PRICES["balancer_gb"]
    instances = machines * hours * PRICES["instance_hour"] + balancer
    endpoint = machines * hours * PRICES["endpoint_hour"]
    return sum(bill.month(n).values()), instances + logs + sent, endpoint + logs + sent


def file_dollars() -> tuple[float, float, float]:
    """Return a month's dollars for a terabyte of files a day.

    They are ours, those of our code on instances, and those of pandas and scikit-learn on an endpoint's
    instances in batches.
    """
    days, calls = MONTH / 86400, TERABYTE / ASSUMED["range_bytes"]
    moved = bill.s3_dollars(TERABYTE, calls)
    cores = bill.work_seconds(TERABYTE) * ASSUMED["slower_vcpu"] / 86400
    instances = ceil(cores / ASSUMED["instance_vcpus"]) * MONTH / 3600 * PRICES["instance_hour"]
    rows = TERABYTE / ASSUMED["bytes_a_row"]
    core_hours = rows / MEASURED["pandas_rows_a_second"] * ASSUMED["slower_vcpu"] / 3600
    endpoint = days * core_hours / ASSUMED["instance_vcpus"] * PRICES["endpoint_hour"]
    return days * files_a_day(), instances + days * moved, endpoint + days * moved


def files_a_day() -> float:
    """Return our dollars for a terabyte in files of 10 GB."""
    return TERABYTE / FILE * sum(bill.file(FILE).values())


if __name__ == "__main__":
    main()
