"""Compute AWS's bill item by item, without free tiers: for a month of requests, and for a file that is split.

Items of 0 dollars are listed too, because they were counted.
"""

from math import ceil

from thimble_infra.figures import ASSUMED, MEASURED, MONTH, PRICES

Items = dict[str, float]  # dollars


def month(requests: float) -> Items:
    """Return the bill for a month of evenly spread requests of one row, without files."""
    starts, logged = environments_started(requests), log_bytes(requests)
    return {
        "alarms, by the metric": ASSUMED["alarm_metrics"] * PRICES["alarm_metric_month"],
        "the dashboard": PRICES["dashboard_month"],
        "the queue, polled though it is empty": sqs_dollars(polls()),
        "metrics of our own": (ASSUMED["custom_metrics"] if requests else 0) * PRICES["custom_metric_month"],
        "API Gateway": http_api_dollars(requests / 1e6),
        "Lambda, requests": lambda_dollars(0, requests),
        "Lambda, time": lambda_dollars(requests * billed_ms() / 1000 * ASSUMED["function_gb"], 0),
        "Lambda, starts of environments": lambda_dollars(starts * cold_seconds() * ASSUMED["function_gb"], 0),
        "logs, taken in": logged / 1e9 * PRICES["logs_gb"],
        "logs, kept": logged * ASSUMED["log_bytes_kept_a_byte"] / 1e9 * PRICES["logs_gb_month"],
        "logs, searched by the dashboard": searched_bytes(logged) / 1e9 * PRICES["logs_searched_gb"],
        "S3, looks at the model": looks(requests) / 1000 * PRICES["s3_get_thousand"],
        "answers to the internet": requests * ASSUMED["bytes_an_answer"] / 1e9 * PRICES["internet_gb"],
    }


def month_of_the_key(requests: float) -> float:
    """Return the extra dollars of a month with KmsKeyArn.

    S3 asks for the bucket's key once for each new environment.
    """
    return float(PRICES["kms_key_month"]) + kms_dollars(environments_started(requests))


def file(size: float) -> Items:
    """Return the bill for a file of `size` bytes that is split."""
    ranges = ranges_of(size)
    calls = ranges + ASSUMED["calls_beside_ranges"]
    worked = ranges * (call_seconds(size / ranges) - ASSUMED["start_seconds"]) + joined_seconds(size, ranges)
    started = calls * ASSUMED["start_seconds"]
    return {
        "Lambda, requests": lambda_dollars(0, calls),
        "Lambda, time": lambda_dollars(worked * ASSUMED["function_gb"], 0),
        "Lambda, starts of environments": lambda_dollars(started * ASSUMED["function_gb"], 0),
        "S3, requests": s3_dollars(size, ranges),
        "S3, a day of the parts": parts_dollars(size),
        "Step Functions": transitions_dollars(ranges),
        "the queue": sqs_dollars(ASSUMED["queue_requests_a_file"]),
        "logs, taken in and kept": file_logs_dollars(calls),
    }


def file_of_the_key(size: float) -> float:
    """Return the extra dollars of a file with KmsKeyArn."""
    return kms_dollars(ranges_of(size) + ASSUMED["calls_beside_ranges"])


def kept(size: float) -> float:
    """Return the dollars of keeping the input and the result for a month."""
    dollars: float = size * (1 + ASSUMED["result_bytes_a_byte"]) / 1e9 * PRICES["s3_gb_month"]
    return dollars


def fetched(size: float) -> float:
    """Return the dollars of sending the result to the internet once."""
    dollars: float = size * ASSUMED["result_bytes_a_byte"] / 1e9 * PRICES["internet_gb"]
    return dollars


def environments_started(requests: float) -> float:
    """Return how many environments a month of requests starts.

    Requests further apart than an idle environment is kept start one each. Otherwise, as many as work at a
    time are started, each as often as Lambda replaces it.
    """
    if requests * ASSUMED["idle_seconds_kept"] <= MONTH:
        return requests
    return min(requests, float(at_a_time(requests) * MONTH / ASSUMED["environment_seconds"]))


def at_a_time(requests: float) -> int:
    """Return the number of environments that work at a time."""
    return ceil(requests / MONTH * billed_ms() / 1000)


def looks(requests: float) -> float:
    """Return the month's GETs: two for each start, and one per working environment and refresh interval."""
    looked = min(requests, float(at_a_time(requests) * MONTH / ASSUMED["refresh_seconds"]))
    return 2 * environments_started(requests) + looked


def log_bytes(requests: float) -> float:
    """Return the month's log bytes: for each request, and for each minute of drift watched."""
    minutes = min(requests, at_a_time(requests) * MONTH / 60)
    found: float = requests * ASSUMED["log_bytes_a_request"] + minutes * ASSUMED["log_bytes_a_minute"]
    return found


def searched_bytes(logged: float) -> float:
    """Return the log bytes that the dashboard searches: each query of each view reads the hours it shows."""
    share = ASSUMED["dashboard_hours"] * 3600 / MONTH
    found: float = ASSUMED["dashboard_views"] * ASSUMED["dashboard_queries"] * logged * share
    return found


def polls() -> float:
    found: float = ASSUMED["queue_pollers"] * MONTH / ASSUMED["queue_poll_seconds"]
    return found


def billed_ms(share: float = 1.0) -> int:
    """Return the billed milliseconds of a request of one row, on a share of a processor."""
    worked: float = MEASURED["request_seconds"] * ASSUMED["slower_vcpu"] * 1000
    more: float = ASSUMED["request_more_ms"]
    return ceil((worked + more) / share)


def cold_seconds(share: float = 1.0) -> float:
    """Return the billed seconds to start an API environment, on a share of a processor."""
    seconds: float = MEASURED["cold_seconds"] * ASSUMED["slower_vcpu"] / share + ASSUMED["cold_more_seconds"]
    return seconds


def ranges_of(size: float) -> int:
    ranges: int = ceil(size / ASSUMED["range_bytes"])
    return max(1, min(ranges, int(ASSUMED["ranges_at_most"])))


def call_seconds(size: float) -> float:
    """Return the seconds of a call for a range of `size` bytes: start, work and transfer."""
    moved = size * (1 + ASSUMED["result_bytes_a_byte"])
    seconds: float = (
        ASSUMED["start_seconds"]
        + work_seconds(size) * ASSUMED["slower_vcpu"]
        + moved / ASSUMED["s3_bytes_a_second"]
    )
    return seconds


def work_seconds(size: float) -> float:
    """Return the seconds of work for `size` bytes on the processor that was measured."""
    seconds: float = size / ASSUMED["bytes_a_row"] / MEASURED["file_rows_a_second"]
    return seconds


def joined_seconds(size: float, ranges: float) -> float:
    """Return the seconds of the assembly, which copies each range's result."""
    copied = size / ranges * ASSUMED["result_bytes_a_byte"] / ASSUMED["copy_bytes_a_second"]
    seconds: float = ranges * (ASSUMED["copy_seconds"] + copied) / ASSUMED["copies_at_a_time"]
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


def s3_dollars(size: float, ranges: float) -> float:
    """Return the dollars of S3's requests: for the input, the result, and each range's own objects."""
    puts = size * ASSUMED["result_bytes_a_byte"] / ASSUMED["put_bytes"] + ranges * ASSUMED["puts_a_range"]
    gets = size / ASSUMED["get_bytes"] + ranges * ASSUMED["gets_a_range"]
    dollars: float = (puts * PRICES["s3_put_thousand"] + gets * PRICES["s3_get_thousand"]) / 1000
    return dollars


def parts_dollars(size: float) -> float:
    dollars: float = size * ASSUMED["result_bytes_a_byte"] / 1e9 * PRICES["s3_gb_month"] / (MONTH / 86400)
    return dollars


def transitions_dollars(ranges: float) -> float:
    transitions = ranges * ASSUMED["transitions_a_range"] + ASSUMED["transitions_a_file"]
    dollars: float = transitions / 1000 * PRICES["transitions_thousand"]
    return dollars


def sqs_dollars(requests: float) -> float:
    dollars: float = requests / 1e6 * PRICES["sqs_million"]
    return dollars


def file_logs_dollars(calls: float) -> float:
    kept_share = ASSUMED["log_bytes_kept_a_byte"] * PRICES["logs_gb_month"]
    dollars: float = calls * ASSUMED["log_bytes_a_call"] / 1e9 * (PRICES["logs_gb"] + kept_share)
    return dollars


def kms_dollars(calls: float) -> float:
    dollars: float = calls / 10_000 * PRICES["kms_ten_thousand"]
    return dollars
