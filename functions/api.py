"""API Gateway's entry: wiring only. Garbage is not collected before everything is imported and loaded."""

import gc

gc.disable()

from thimble import gateway, registry, routes, settings  # noqa: E402

_settings = settings.from_environment()
_models = registry.models(_settings)
_models.warm()
handler = gateway.handler(routes.app(_models, _settings))

gc.freeze()
gc.enable()
