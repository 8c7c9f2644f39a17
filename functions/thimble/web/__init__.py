"""Door one: from API Gateway's event to the answer of a protocol, and back.

gateway    the event;  `app` requests, responses and errors' statuses;  `routes` the table of paths
native, v1, open_inference, invocations   the protocols, a module each, imported when first asked for
media      what bodies are in, with `codings`
service    classifies rows, whatever they came in
"""
