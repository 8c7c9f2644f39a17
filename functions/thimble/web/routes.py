"""The routes: the handler of each path and method, and the options that it takes.

A handler is a function of the service, the request and the path's parameters. A protocol is a module of this
package and its lines here; the module is imported at the first request for one of its paths.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

from thimble.registry.lookup import Models
from thimble.settings import OF_FILES, Settings
from thimble.web.app import App, Operation, Resource, Response
from thimble.web.options import ASKED
from thimble.web.service import Service

PATHS = 256  # whose routes are cached; callers request the same paths again


class Route(NamedTuple):
    path: str
    method: str
    handler: str  # "module:function" of this package
    parameters: tuple[str, ...] = ()  # of the query
    headers: tuple[str, ...] = ()  # with a protocol's own options
    failure: str = "app:failure"  # the function that writes the path's errors


MODEL = ("model", "version")
CLASSIFY = (*MODEL, "top", "rejected", *ASKED)
LENGTH = ("inference-header-content-length",)
TARGET = (  # SageMaker's other headers choose a container, a component, a session or an explanation
    "x-amzn-sagemaker-target-model",
    "x-amzn-sagemaker-target-variant",
    "x-amzn-sagemaker-custom-attributes",
    "x-amzn-sagemaker-inference-id",
)
SAGEMAKER = "invocations:failure"

ROUTES = (
    Route("/classify", "POST", "native:classify", CLASSIFY),
    Route("/health", "GET", "native:health"),
    Route("/model", "GET", "native:model", MODEL),
    Route("/model/history", "GET", "native:history", MODEL),
    Route("/seen", "GET", "seen:seen", MODEL),
    Route("/uploads", "GET", "uploads:state", ("id",)),
    Route("/uploads", "POST", "uploads:begin", (*MODEL, *map(str.lower, OF_FILES))),
    Route("/openapi.json", "GET", "native:openapi"),
    # pages for people; a client that does not accept HTML gets a probe's answer at /
    Route("/", "GET", "pages:front"),
    Route("/page/{file}", "GET", "pages:file"),
    Route("/docs", "GET", "pages:docs"),
    # TensorFlow Serving, KServe's V1, Vertex AI
    Route("/v1/models", "GET", "v1:models"),
    Route("/v1/models/{model}:predict", "POST", "v1:predict", ASKED),
    Route("/v1/models/{model}", "GET", "v1:status"),
    Route("/v1/models/{model}/versions/{version}:predict", "POST", "v1:predict", ASKED),
    Route("/v1/models/{model}/versions/{version}", "GET", "v1:status"),
    # Open Inference: KServe's V2, Triton
    Route("/v2", "GET", "open_inference:server"),
    Route("/v2/health/live", "GET", "open_inference:live"),
    Route("/v2/health/ready", "GET", "open_inference:ready"),
    Route("/v2/models", "GET", "open_inference:models"),
    Route("/v2/repository/index", "POST", "open_inference:index"),
    Route("/v2/models/{model}", "GET", "open_inference:metadata"),
    Route("/v2/models/{model}/ready", "GET", "open_inference:model_ready"),
    Route("/v2/models/{model}/infer", "POST", "open_inference:infer", ASKED, headers=LENGTH),
    Route("/v2/models/{model}/versions/{version}", "GET", "open_inference:metadata"),
    Route("/v2/models/{model}/versions/{version}/ready", "GET", "open_inference:model_ready"),
    Route(
        "/v2/models/{model}/versions/{version}/infer", "POST", "open_inference:infer", ASKED, headers=LENGTH
    ),
    # SageMaker and MLflow
    Route("/ping", "GET", "invocations:ping", failure=SAGEMAKER),
    Route("/invocations", "POST", "invocations:classify", ASKED, headers=TARGET, failure=SAGEMAKER),
    Route(
        "/endpoints/{model}/invocations",
        "POST",
        "invocations:classify",
        ASKED,
        headers=TARGET,
        failure=SAGEMAKER,
    ),
    Route("/version", "GET", "invocations:version"),
)


def app(models: Models, settings: Settings) -> App:
    """Return the application: the routes in front of one service."""
    service = Service(models, settings)
    found = lru_cache(maxsize=PATHS)(partial(find, service))
    found("/classify")  # imports Thimble's own protocol at cold start
    return App(found, settings.max_body_bytes, settings.cors_allow_origin)


def find(service: Service, path: str) -> Resource | None:
    """Return the operations of the first path in the table that matches; None if none does."""
    for route in ROUTES:
        found = path_parameters(route.path, path)
        if found is not None:
            operations = {
                other.method: Operation(
                    partial(_function(other.handler), service, **found), other.parameters, other.headers
                )
                for other in ROUTES
                if other.path == route.path
            }
            return Resource(operations, _function(route.failure))
    return None


def path_parameters(pattern: str, path: str) -> dict[str, str] | None:
    """Return the path's values for the names in a pattern, such as /v1/models/{model}:predict.

    Returns None if the path does not match the pattern.
    """
    wanted, given = pattern.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    found = {}
    for part, segment in zip(wanted, given, strict=True):
        name, brace, ending = part.removeprefix("{").partition("}")
        if not brace:
            if part != segment:
                return None
        elif len(segment) > len(ending) and segment.endswith(ending):
            found[name] = segment[: len(segment) - len(ending)]
        else:
            return None
    return found


def _function(name: str) -> Callable[..., Response]:
    """Import the function that "module:function" names."""
    module, _, function = name.partition(":")
    found: Callable[..., Response] = getattr(importlib.import_module(f"thimble.web.{module}"), function)
    return found
