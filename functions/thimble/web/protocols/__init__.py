"""The protocols that callers speak. A path's first segment says which; it is imported when first asked for.

A protocol is a module with ROUTES, from path patterns to methods to operations: functions of (service,
request, the pattern's parameters) and the options that they know; and with `failure` where its errors look
otherwise. It translates to and from the core's tables and predictions, and is named here; nothing else knows
of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from re import Match
from typing import NamedTuple

from thimble.web import http
from thimble.web.http import Methods, Route
from thimble.web.serving import Service

VERSION = "0.1.0"  # of Thimble
MODULES = {
    "classify": "native",
    "health": "native",
    "model": "native",
    "v2": "open_inference",
    "": "v1",
    "v1": "v1",
    "ping": "sagemaker",
    "invocations": "sagemaker",
    "endpoints": "sagemaker",
    "version": "mlflow",
    "openapi.json": "description",
    "docs": "description",
}

PATHS = 256  # whose route is remembered: callers ask the same ones again


class Spoken(NamedTuple):
    """A protocol's routes, its functions bound to the service."""

    exact: Mapping[str, Route]
    patterns: Sequence[tuple[Callable[[str], Match[str] | None], Methods]]
    failure: http.Failure

    def find(self, path: str) -> Route | None:
        if route := self.exact.get(path):
            return route
        for match, methods in self.patterns:
            if found := match(path):
                return Route(methods, found.groupdict(), self.failure)
        return None


class Router:
    def __init__(self, service: Service) -> None:
        self.service = service
        self._spoken: dict[str, Spoken] = {}
        self.find = lru_cache(maxsize=PATHS)(self._find)

    def _find(self, path: str) -> Route | None:
        name = MODULES.get(path[1:].partition("/")[0])
        return self.speak(name).find(path) if name else None

    def speak(self, name: str) -> Spoken:
        """A protocol's routes; imports it at the first call."""
        if name not in self._spoken:
            self._spoken[name] = _spoken(name, self.service)
        return self._spoken[name]


def _spoken(name: str, service: Service) -> Spoken:
    module = importlib.import_module(f"{__name__}.{name}")
    failure = getattr(module, "failure", http.failure)
    exact, patterns = {}, []
    for pattern, methods in module.ROUTES.items():
        bound = {
            method: operation._replace(handler=partial(operation.handler, service))
            for method, operation in methods.items()
        }
        if "{" in pattern:
            patterns.append((http.matcher(pattern), bound))
        else:
            exact[pattern] = Route(bound, failure=failure)
    return Spoken(exact, patterns, failure)
