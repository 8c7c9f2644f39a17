"""A file of more than a request: through the inbox of the local stack, watched, and found again."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import LocalStack
from tests.page.conftest import Opened, checked
from tests.page.models import document
from tests.test_file_options import DREAM, classified

PATIENCE = 120_000  # milliseconds for what a file goes through
HEAD = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm),note\n"


@pytest.fixture
def stack_opened(browser: Browser, local_stack: LocalStack) -> Iterator[Opened]:
    yield from checked(Opened(browser, local_stack.url, hosts={urlsplit(local_stack.s3_url).netloc}))


def give(page: Page, path: Path) -> None:
    page.set_input_files("#file", str(path))


def test_a_large_file_is_uploaded_watched_downloaded_and_found_again(
    stack_opened: Opened, tmp_path: Path
) -> None:
    large = tmp_path / "january & more.csv"
    rows = "".join(f"5.1,3.5,1.4,0.2,{'n' * 400}{i}\n" for i in range(12_000))
    large.write_text(HEAD + rows + "x,3.5,1.4,0.2,bad\n")
    assert large.stat().st_size > 4_500_000
    page = stack_opened("iris")
    expect(page.locator("#kinds")).to_contain_text("Parquet too, up to")
    give(page, large)
    said = page.locator(".upload > .lead")
    expect(said).to_contain_text(".csv: 12,000 of 12,001 rows answered, 1 rejected.", timeout=PATIENCE)
    expect(page.locator(".upload .counts .bar").first.locator(".value")).to_have_text("12,000")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download the answers").click()
    answers = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text())))
    assert len(answers) == 12_000
    assert {answer["label"] for answer in answers} == {"setosa"}
    page.reload()
    expect(page.locator(".upload > .lead")).to_contain_text(
        "12,000 of 12,001 rows answered", timeout=PATIENCE
    )
    page.get_by_role("button", name="forget it").click()
    page.reload()
    page.locator("#whole").wait_for()
    expect(page.locator(".upload")).to_have_count(0)


def test_an_upload_comes_with_what_is_asked_for(stack_opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "dream.csv.gz"
    path.write_bytes(gzip.compress(DREAM))
    page = stack_opened("penguins")
    page.locator("#asked").get_by_label("why").check()
    page.locator("#asked").get_by_label("the smallest change").check()
    give(page, path)
    expect(page.locator(".upload > .lead")).to_contain_text("2 of 3 rows answered", timeout=PATIENCE)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download the answers").click()
    found = Path(waiting.value.path()).read_bytes()
    typed = ("--explain", "6", "--what-if")
    assert gzip.decompress(found) == classified(tmp_path, DREAM, document("penguins"), *typed)[0]


def test_an_upload_that_breaks_is_said_and_sent_again(stack_opened: Opened, tmp_path: Path) -> None:
    stack_opened.forgiven = ("Failed to load resource",)
    page = stack_opened("iris")
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(b"no gzip")
    page.route(lambda url: url.startswith("http") and "inbox" in url, lambda route: route.abort())
    give(page, path)
    expect(page.locator(".upload > .lead")).to_contain_text("The bucket cannot be reached")
    page.unroute_all()
    page.get_by_role("button", name="Send it again").click()
    expect(page.locator(".upload > .lead")).to_contain_text("is refused.", timeout=PATIENCE)
    assert json.loads(page.evaluate("localStorage.getItem('thimble-uploads')")) == []
