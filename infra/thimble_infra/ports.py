"""Check that the ports of `make run` are free, before anything is installed: standard library only."""

import os
import socket
import sys

PORTS = {"PORT": "8000", "S3_PORT": "9000"}  # variables of `thimble run` and their defaults


def main() -> None:
    for variable, default in PORTS.items():
        if reason := _taken(os.environ.get(variable, default)):
            print(
                f"port {os.environ.get(variable, default)}: {reason}; {variable} chooses another",
                file=sys.stderr,
            )
            sys.exit(3)


def _taken(port: str) -> str | None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", int(port)))
        except OSError as error:
            return error.strerror
        except (OverflowError, ValueError) as error:
            return str(error)
    return None


if __name__ == "__main__":
    main()
