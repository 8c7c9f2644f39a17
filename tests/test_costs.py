"""The operator's page has the figures that its prices give, and its formulas agree with each other."""

from decimal import ROUND_CEILING, Decimal

import pytest

from tests.cloudformation import TEMPLATE
from thimble_infra import bill, costs, figures, page_blocks


@pytest.mark.parametrize("name", costs.tables())
def test_the_page_has_what_the_prices_give(name: str) -> None:
    assert page_blocks.read(costs.PAGE, name) == costs.tables()[name], "python -m thimble_infra.costs --write"


def test_what_is_assumed_says_why_and_what_is_measured_says_where() -> None:
    assert all(figure["why"] for figure in figures.FIGURES["assumed"].values())
    assert all(figure["case"] and figure["of"] for figure in figures.FIGURES["measured"].values())


def test_what_never_rests_costs_more_at_rest_than_ours() -> None:
    ours, instances, endpoint = costs.request_dollars(0)
    assert ours == sum(bill.month(0).values()) < 6
    assert min(instances, endpoint) > 100


P, A, M = (
    {
        name: Decimal(str(figure["is"] if isinstance(figure, dict) else figure))
        for name, figure in found.items()
    }
    for found in (
        {name: price for name, price in figures.FIGURES["prices"].items() if name != "of"},
        figures.FIGURES["assumed"],
        figures.FIGURES["measured"],
    )
)


def whole(number: Decimal) -> Decimal:
    return number.to_integral_value(ROUND_CEILING)


def by_hand(requests: int) -> Decimal:
    """A month's bill as one reads it off AWS's pricing pages, for at most one request at a time."""
    month, n = A["seconds_a_month"], Decimal(requests)
    at_rest = (
        A["alarm_metrics"] * P["alarm_metric_month"]
        + P["dashboard_month"]
        + A["queue_pollers"] * month / A["queue_poll_seconds"] / 10**6 * P["sqs_million"]
    )
    if not requests:
        return at_rest
    starts = n if month / n >= A["idle_seconds_kept"] else month / A["environment_seconds"]
    billed = whole(M["request_seconds"] * A["slower_vcpu"] * 1000 + A["request_more_ms"]) / 1000
    init = M["cold_seconds"] * A["slower_vcpu"] + A["cold_more_seconds"]
    logs = (n * A["log_bytes_a_request"] + min(n, month / 60) * A["log_bytes_a_minute"]) / 10**9
    searched = logs * A["dashboard_hours"] * 3600 / month * A["dashboard_views"] * A["dashboard_queries"]
    looks = 2 * starts + min(n, month / A["refresh_seconds"])
    return (
        at_rest
        + A["custom_metrics"] * P["custom_metric_month"]
        + n / 10**6 * (P["http_api_million_requests"] + P["lambda_million_requests"])
        + (n * billed + starts * init) * A["function_gb"] * P["lambda_gb_second"]
        + logs * (P["logs_gb"] + A["log_bytes_kept_a_byte"] * P["logs_gb_month"])
        + searched * P["logs_searched_gb"]
        + looks / 1000 * P["s3_get_thousand"]
        + n * A["bytes_an_answer"] / 10**9 * P["internet_gb"]
    )


def test_the_page_says_at_its_beginning_what_a_month_at_rest_costs() -> None:
    beginning = costs.PAGE.read_text().partition("\n## Update")[0]
    assert f"{sum(bill.month(0).values()):,.2f} dollars a month" in " ".join(beginning.split())


@pytest.mark.parametrize("requests", costs.MONTHS)
def test_a_month_is_billed_to_the_cent(requests: int) -> None:
    assert f"{sum(bill.month(requests).values()):.2f}" == f"{by_hand(requests):.2f}"
    [total] = [line for line in costs.tables()["bill"] if "in all" in line]
    assert f"**{by_hand(requests):,.2f}**" in total


def test_a_file_of_10_gb_is_billed_to_the_cent() -> None:
    size = Decimal(10**10)
    ranges = whole(size / A["range_bytes"])
    calls = ranges + A["calls_beside_ranges"]
    result = size * A["result_bytes_a_byte"]
    seconds = (
        calls * A["start_seconds"]
        + size / A["bytes_a_row"] / M["file_rows_a_second"] * A["slower_vcpu"]
        + (size + result) / A["s3_bytes_a_second"]
        + (ranges * A["copy_seconds"] + result / A["copy_bytes_a_second"]) / A["copies_at_a_time"]
    )
    puts = result / A["put_bytes"] + ranges * A["puts_a_range"]
    gets = size / A["get_bytes"] + ranges * A["gets_a_range"]
    log_price = P["logs_gb"] + A["log_bytes_kept_a_byte"] * P["logs_gb_month"]
    dollars = (
        seconds * A["function_gb"] * P["lambda_gb_second"]
        + calls / 10**6 * P["lambda_million_requests"]
        + (puts * P["s3_put_thousand"] + gets * P["s3_get_thousand"]) / 1000
        + result / 10**9 * P["s3_gb_month"] * 86400 / A["seconds_a_month"]
        + (ranges * A["transitions_a_range"] + A["transitions_a_file"]) / 1000 * P["transitions_thousand"]
        + A["queue_requests_a_file"] / 10**6 * P["sqs_million"]
        + calls * A["log_bytes_a_call"] / 10**9 * log_price
    )
    assert f"{sum(bill.file(1e10).values()):.2f}" == f"{dollars:.2f}"
    [total] = [line for line in costs.tables()["bill of a file"] if "in all" in line]
    assert f"**{dollars:.2f}**" in total


def test_a_key_of_ones_own_is_billed() -> None:
    assert bill.month_of_the_key(0) == figures.PRICES["kms_key_month"]
    assert f"{bill.month_of_the_key(1_000_000):.2f}" == "1.00"
    assert bill.file_of_the_key(1e10) == pytest.approx(153 / 10_000 * 0.03)


FIGURES = {"prices": figures.PRICES, "assumed": figures.ASSUMED, "measured": figures.MEASURED}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in FIGURES for name in FIGURES[kind] if name != "of"]
)
def test_nothing_is_priced_assumed_or_measured_that_no_table_is_computed_from(
    kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would only seem to be counted."""
    values = FIGURES[kind]
    found = []
    for factor in (1, 1000, 1 / 1000):
        monkeypatch.setattr(bill, "MONTH", figures.MONTH * (factor if name == "seconds_a_month" else 1))
        with monkeypatch.context() as patched:
            patched.setitem(values, name, values[name] * factor)
            tables = costs.tables()
        found.append([lines for table, lines in tables.items() if table not in ("prices", "assumed")])
    assert found[0] != found[1] or found[0] != found[2]


def test_what_is_assumed_of_the_template_is_in_the_template() -> None:
    alarms = [
        found["Properties"]
        for found in TEMPLATE["Resources"].values()
        if found["Type"] == "AWS::CloudWatch::Alarm"
    ]
    metrics = [["MetricStat" in m for m in alarm.get("Metrics", [{"MetricStat": {}}])] for alarm in alarms]
    assert sum(map(sum, metrics)) == figures.ASSUMED["alarm_metrics"]
    names = {
        metric["MetricName"]
        for alarm in alarms
        for metric in [
            alarm,
            *(m["MetricStat"]["Metric"] for m in alarm.get("Metrics", []) if "MetricStat" in m),
        ]
        if metric.get("Namespace") == "Thimble"
    }
    assert len(names) == figures.ASSUMED["custom_metrics"]
    body = TEMPLATE["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert body.count('"type": "log"') == figures.ASSUMED["dashboard_queries"]
    dashboards = [r for r in TEMPLATE["Resources"].values() if r["Type"] == "AWS::CloudWatch::Dashboard"]
    assert len(dashboards) == 1
    defaults = {name: found["Default"] for name, found in TEMPLATE["Parameters"].items()}
    assert int(defaults["ModelRefreshSeconds"]) == figures.ASSUMED["refresh_seconds"]
    assert int(defaults["RangeBytes"]) == figures.ASSUMED["range_bytes"]
    memory = round(figures.ASSUMED["function_gb"] * 1024)
    assert int(defaults["ApiMemory"]) == int(defaults["FilesMemory"]) == memory


def test_nearly_nothing_is_not_shown_as_nothing() -> None:
    assert [costs.cents(n) for n in (0, 0.004, 0.005001, 1234.5)] == [
        "0.00",
        "under 0.01",
        "0.01",
        "1,234.50",
    ]


@pytest.mark.parametrize(
    ("dollars", "shown"), [(3.39e-7, "0.00000034"), (2.1, "2.1"), (0.34, "0.34"), (62.0, "62")]
)
def test_dollars_are_plain(dollars: float, shown: str) -> None:
    assert costs.plain(dollars) == shown
