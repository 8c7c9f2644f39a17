"""The entry point for API Gateway: wiring only.

A thread fetches the model during the imports. Garbage collection is off until all is loaded.
"""

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
