"""API Gateway's entry: wiring only. The model is fetched while the rest is imported; garbage is not collected
before everything is imported and loaded."""

import gc

gc.disable()

from thimble import settings  # noqa: E402
from thimble.registry import prefetch  # noqa: E402

_settings = settings.from_environment()
_folder = prefetch.folder(_settings)

from thimble.registry import lookup  # noqa: E402
from thimble.web import gateway, routes  # noqa: E402

_models = lookup.models(_settings, _folder)
lookup.warm(_models)
handler = gateway.handler(routes.app(_models, _settings))

gc.freeze()
gc.enable()
