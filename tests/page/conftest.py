"""A browser, several models behind the API on loopback, and pages that fail a test if something is amiss."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.page.models import DOCUMENTS, document
from thimble.registry import lookup, prefetch
from thimble.settings import from_environment
from thimble.store import Folder
from thimble.web import gateway, routes
from thimble_infra import publishing
from thimble_infra.apigateway import ApiGateway
from thimble_infra.listening import listen, url

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 780}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "no Chromium here: `make test-page` installs it"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in DOCUMENTS:
        publish(folder, name, document(name))
    return folder


def publish(folder: Path, name: str, data: bytes) -> None:
    store = Folder(f"file://{folder}")
    publishing.publish(store, publishing.publication(store, name, data, replace=True))


@pytest.fixture(scope="session")
def service(registry: Path) -> Iterator[str]:
    """The address of the API, as deployed behind API Gateway."""
    with serving(MODELS_URI=f"file://{registry}") as address:
        yield address


@contextmanager
def serving(**environment: str) -> Iterator[str]:
    """The API over a registry, on a free port of loopback."""
    os.environ["POWERTOOLS_LOG_LEVEL"] = "ERROR"
    settings = from_environment({"MODEL_NAME": "penguins", **environment})
    models = lookup.models(settings, prefetch.folder(settings))
    with listen(0, "port") as listener:
        server = ApiGateway(listener, gateway.handler(routes.app(models, settings)), lambda line: None)
        Thread(target=server.serve_forever, daemon=True).start()
        yield url(listener)
        server.shutdown()


@dataclass
class Opened:
    """Pages of one test, what they asked for, and what they complained of."""

    browser: Browser
    service: str
    asked: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    forgiven: tuple[str, ...] = ()
    hosts: set[str] = field(default_factory=set)  # that files go to

    def __call__(self, model: str = "penguins", *, ready: bool = True, **context: Any) -> Page:
        settings = {
            "viewport": WIDE,
            "reduced_motion": "reduce",
            "permissions": ["clipboard-read", "clipboard-write"],
        }
        page = self.browser.new_context(**{**settings, **context}).new_page()
        page.on("request", lambda request: self.asked.append(request))
        page.on("pageerror", lambda error: self.complaints.append(f"{error}\n{error.stack}"))
        page.on("console", self._heard)
        page.set_default_timeout(15_000)
        page.goto(f"{self.service}/#model={model}" if model else self.service)
        if ready:
            page.locator("#whole").wait_for()
        return page

    def _heard(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.complaints.append(said.text)

    def check(self) -> None:
        """Nothing failed, the policy refused nothing, no other host was asked, nobody else's script ran."""
        amiss = [text for text in self.complaints if not any(known in text for known in self.forgiven)]
        assert not amiss
        hosts = {
            urlsplit(request.url).netloc
            for request in self.asked
            if not request.url.startswith(("blob:", "data:"))
        }
        assert hosts <= {urlsplit(self.service).netloc, *self.hosts}
        for context in self.browser.contexts:
            for page in context.pages:
                assert page.evaluate("window.hacked") is None


def checked(made: Opened) -> Iterator[Opened]:
    """Pages that a test opens, looked at when it is done with them, and closed."""
    yield made
    try:
        made.check()
    finally:
        for context in made.browser.contexts:
            context.close()


@pytest.fixture
def opened(browser: Browser, service: str) -> Iterator[Opened]:
    yield from checked(Opened(browser, service))
