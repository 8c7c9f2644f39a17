"""The operator's page has the figures that its prices give, and its formulas agree with each other."""

import json

import pytest

from infra import costs, marked


@pytest.mark.parametrize("name", costs.tables())
def test_the_page_has_what_the_prices_give(name: str) -> None:
    assert marked.read(costs.PAGE, name) == costs.tables()[name], "python -m infra.costs --write"


def test_what_is_assumed_says_why_and_what_is_measured_says_where() -> None:
    assert all(figure["why"] for figure in costs.FIGURES["assumed"].values())
    assert all(figure["case"] and figure["of"] for figure in costs.FIGURES["measured"].values())


def test_requests_cost_in_proportion() -> None:
    one, hundred = (costs.request_dollars(rate)[0] for rate in (1, 100))
    assert hundred == pytest.approx(100 * one)


def test_what_never_rests_costs_something_without_requests_and_ours_does_not() -> None:
    ours, instances, endpoint = costs.request_dollars(0)
    assert ours == 0
    assert min(instances, endpoint) > 100


def test_a_price_is_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    before = costs.request_dollars(1)[0]
    monkeypatch.setitem(costs.PRICES, "lambda_gb_second", 1.0)
    assert costs.request_dollars(1)[0] > 100 * before


@pytest.mark.parametrize("name", json.loads(costs.PRICES_FILE.read_bytes())["measured"])
def test_what_is_measured_is_what_is_computed_from(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = costs.tables()
    monkeypatch.setitem(costs.MEASURED, name, costs.MEASURED[name] * 50)
    assert costs.tables() != before


def test_a_file_of_two_ranges_costs_twice_what_one_does() -> None:
    one, two = (costs.s3_dollars(size, n) + costs.ranges_dollars(size, n) for size, n in ((1e8, 1), (2e8, 2)))
    assert two == pytest.approx(2 * one)


@pytest.mark.parametrize(
    ("dollars", "shown"), [(3.39e-7, "0.00000034"), (2.1, "2.1"), (0.34, "0.34"), (62.0, "62")]
)
def test_dollars_are_plain(dollars: float, shown: str) -> None:
    assert costs.plain(dollars) == shown
