"""Write the tables of exported and refused classes into model/README.md: `python -m` this module."""

from pathlib import Path

from thimble_infra import page_blocks
from thimble_model import catalogue

PAGE = Path(__file__).parents[2] / "model/README.md"


def main() -> None:
    for name, lines in catalogue.tables().items():
        page_blocks.write(PAGE, name, lines)


if __name__ == "__main__":
    main()
