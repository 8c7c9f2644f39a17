"""Bind a socket of this machine, before the service on it is started."""

import socket

from thimble.errors import Unavailable


def listen(port: int, option: str, host: str = "127.0.0.1") -> socket.socket:
    """Return a listening socket. Raises Unavailable, which names the option that chooses another port."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise Unavailable(f"cannot listen on port {port} ({reason}); {option} chooses another") from None
    return listener


def url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"
