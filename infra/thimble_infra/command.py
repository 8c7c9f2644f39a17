"""What the `thimble` command starts: the command line, or a sentence that says how to install it."""

import sys

from thimble_infra import endings

EXTRA = "thimble-ml[cli]"


def main() -> None:
    """End as every command does, also while it is still being imported, or where its help has no room."""
    if code := endings.ended(_command_line):
        sys.stdout = None  # what it could not write is not tried again
        sys.exit(code)


def _command_line() -> None:
    try:
        from thimble_infra.cli import app
    except ModuleNotFoundError as error:
        sys.exit(missing(error))
    app()


def missing(error: ModuleNotFoundError) -> str:
    return f"thimble: the command needs {error.name}, which is not installed: pip install '{EXTRA}'"


if __name__ == "__main__":
    main()
