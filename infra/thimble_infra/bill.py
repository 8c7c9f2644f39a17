"""What AWS bills for, item by item, without its free tiers: a month of requests, and a file that is split.

An item that is nought is there all the same: it was counted.
"""

from math import ceil

from thimble_infra.figures import ASSUMED, MEASURED, MONTH, PRICES

Items = dict[str, float]  # dollars


def month(requests: float) -> Items:
    """A month of so many requests of one row, evenly spread, and no file."""
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
    """With KmsKeyArn, beside the others: S3 asks for the bucket's key once for each new environment."""
    return float(PRICES["kms_key_month"]) + kms_dollars(environments_started(requests))


def file(size: float) -> Items:
    """A file of so many bytes that is split."""
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
    """With KmsKeyArn, beside the others."""
    return kms_dollars(ranges_of(size) + ASSUMED["calls_beside_ranges"])


def kept(size: float) -> float:
    """A month of the input and the result."""
    dollars: float = size * (1 + ASSUMED["result_bytes_a_byte"]) / 1e9 * PRICES["s3_gb_month"]
    return dollars


def fetched(size: float) -> float:
    """The result, once, to the internet."""
    dollars: float = size * ASSUMED["result_bytes_a_byte"] / 1e9 * PRICES["internet_gb"]
    return dollars


def environments_started(requests: float) -> float:
    """One for each request, where they come further apart than an idle environment is kept; otherwise as many
    as work at a time, each as often as Lambda replaces it."""
    if requests * ASSUMED["idle_seconds_kept"] <= MONTH:
        return requests
    return min(requests, float(at_a_time(requests) * MONTH / ASSUMED["environment_seconds"]))


def at_a_time(requests: float) -> int:
    """Environments at work."""
    return ceil(requests / MONTH * billed_ms() / 1000)


def looks(requests: float) -> float:
    """GETs: a start's two, and each working environment's as often as MODEL_REFRESH_SECONDS says."""
    looked = min(requests, float(at_a_time(requests) * MONTH / ASSUMED["refresh_seconds"]))
    return 2 * environments_started(requests) + looked


def log_bytes(requests: float) -> float:
    """Of each request, and each minute's of what was watched."""
    minutes = min(requests, at_a_time(requests) * MONTH / 60)
    found: float = requests * ASSUMED["log_bytes_a_request"] + minutes * ASSUMED["log_bytes_a_minute"]
    return found


def searched_bytes(logged: float) -> float:
    """Each query of each view reads the hours that the dashboard shows."""
    share = ASSUMED["dashboard_hours"] * 3600 / MONTH
    found: float = ASSUMED["dashboard_views"] * ASSUMED["dashboard_queries"] * logged * share
    return found


def polls() -> float:
    found: float = ASSUMED["queue_pollers"] * MONTH / ASSUMED["queue_poll_seconds"]
    return found


def billed_ms(share: float = 1.0) -> int:
    """Of a request of one row, on a share of a processor."""
    worked: float = MEASURED["request_seconds"] * ASSUMED["slower_vcpu"] * 1000
    more: float = ASSUMED["request_more_ms"]
    return ceil((worked + more) / share)


def cold_seconds(share: float = 1.0) -> float:
    """Of the start of an API's environment, which is billed, on a share of a processor."""
    seconds: float = MEASURED["cold_seconds"] * ASSUMED["slower_vcpu"] / share + ASSUMED["cold_more_seconds"]
    return seconds


def ranges_of(size: float) -> int:
    ranges: int = ceil(size / ASSUMED["range_bytes"])
    return max(1, min(ranges, int(ASSUMED["ranges_at_most"])))


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


def joined_seconds(size: float, ranges: float) -> float:
    """Of the assembly: a copy of each range's result."""
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
    """Requests for an input of so many bytes, for its result, and for what each range leaves and looks at."""
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
