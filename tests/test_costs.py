"""The operator's page has the figures that its prices give, and its formulas agree with each other."""

from pathlib import Path

import pytest

from infra import costs

PAGE = (Path(costs.__file__).parent / "README.md").read_text()


def test_the_page_has_what_the_prices_give() -> None:
    missing = [line for line in costs.page() if line not in PAGE]
    assert missing == [], "python -m infra.costs prints the tables: copy them"


def test_requests_cost_in_proportion() -> None:
    one, hundred = (costs.request_dollars(rate)[0] for rate in (1, 100))
    assert hundred == pytest.approx(100 * one)


def test_what_never_rests_costs_something_without_requests_and_ours_does_not() -> None:
    ours, instances, endpoint = costs.request_dollars(0)
    assert ours == 0
    assert min(instances, endpoint) > 100


def test_a_price_is_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    before = costs.request_dollars(1)[0]
    monkeypatch.setitem(costs.FIGURES, "lambda_gb_second", 1.0)
    assert costs.request_dollars(1)[0] > 100 * before
