"""Door one: from API Gateway's event to a protocol's answer, and back.

gateway    the event;  `app`: requests, responses and the status of each error;  `routes`: the table of paths
native, v1, open_inference, invocations   the protocols, a module each, imported at the first request
media      media types of bodies;  `codings`: their compression
service    classifies rows, whatever their format was
"""
