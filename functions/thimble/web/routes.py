"""The application: every protocol's routes in front of one service."""

from __future__ import annotations

from thimble.registry.lookup import Models
from thimble.settings import Settings
from thimble.web.http import App
from thimble.web.protocols import Router
from thimble.web.serving import Service


def app(models: Models, settings: Settings) -> App:
    router = Router(Service(models, settings))
    router.speak("native")  # at cold start; the others when they are asked for
    return App(router.find, settings.max_body_bytes, settings.cors_allow_origin)
