"""API Gateway's entry: wiring only. Garbage is not collected before everything is imported and loaded."""

import gc

gc.disable()

from thimble import gateway, routes, settings  # noqa: E402
from thimble.store import ModelStore  # noqa: E402

_settings = settings.from_environment()
_models = ModelStore(_settings.model_uri)
_models.warm()
handler = gateway.handler(routes.app(_models, _settings))

gc.freeze()
gc.enable()
