"""The entry point of the `thimble` command: the command line, or a sentence on how to install it."""

import sys

from thimble_infra import endings

EXTRA = "thimble-ml[cli]"


def main() -> None:
    """Run the command line, and end as every command does, even if an import or writing the help fails."""
    if code := endings.ended(_command_line):
        sys.stdout = None  # do not try again to write what could not be written
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
