"""What text that is not UTF-8 looks like, and that iconv says the same."""

import subprocess
from pathlib import Path

import pytest

from thimble import encodings

GERMAN = "stadt,größe\nKöln,Straße – „groß“\nZürich,5 €\n"  # noqa: RUF001
ENCODED = {
    "WINDOWS-1252": GERMAN.encode("cp1252"),
    "WINDOWS-1250": "miasto\nŁódź\nWrocław\nGdańsk\n".encode("cp1250"),
    "WINDOWS-1251": "город\nМосква\nКазань\n".encode("cp1251"),  # noqa: RUF001
    "IBM850": "Stadt\nKöln\nMünchen\nOrléans\n".encode("cp850"),
    "MACINTOSH": "Stadt\nZürich\nOrléans\nMünchen\n".encode("mac_roman"),
    "UTF-16": GERMAN.encode("utf-16"),
    "UTF-16LE": GERMAN.encode("utf-16-le"),
    "UTF-16BE": GERMAN.encode("utf-16-be"),
    "UTF-32": GERMAN.encode("utf-32"),
}


@pytest.mark.parametrize("name", ENCODED)
def test_an_encoding_is_told_and_iconv_knows_it_by_that_name(name: str) -> None:
    data = ENCODED[name]
    assert encodings.looks_like(data) == name
    found = subprocess.run(["iconv", "-f", name, "-t", "UTF-8"], input=data, capture_output=True, check=True)
    assert found.stdout.isascii() is False


@pytest.mark.parametrize(
    "cell", [b"K\xf6ln", b"Z\xfcrich", b"\xd6sterreich", b"caf\xe9", b"5 \x80", b"Stra\xdfe"]
)
def test_one_cell_is_enough(cell: bytes) -> None:
    assert encodings.looks_like(cell) == "WINDOWS-1252"


def test_what_cannot_be_told_is_not_guessed() -> None:
    assert encodings.looks_like(b"\x00\xff\x13\x81\x9d") == ""
    assert encodings.sentence("") == ""
    assert "-f ENCODING " in encodings.command("", "a.csv")


@pytest.mark.parametrize("data", [b"", b"plain", "Köln".encode(), b"K\xf6ln", b"\xed\xa0\x80", b"\xff"])
def test_text_is_kept_byte_for_byte(data: bytes) -> None:
    text = encodings.text(data)
    assert text.encode("utf-8", "surrogateescape") == data
    assert encodings.is_sound(text) == (data.decode("utf-8", "replace").encode() == data)


@pytest.mark.parametrize("packing", ["", "gzip"])
def test_the_command_converts_the_file(tmp_path: Path, packing: str) -> None:
    path = tmp_path / "our cities.csv"
    path.write_bytes(ENCODED["WINDOWS-1252"])
    if packing:
        subprocess.run([packing, "-q", path], check=True)
        path = path.with_name(f"{path.name}.gz")
    subprocess.run(encodings.command("WINDOWS-1252", str(path)), shell=True, check=True)
    assert (tmp_path / "our cities.utf8.csv").read_text() == GERMAN


def test_zstd_is_unpacked_first() -> None:
    command = encodings.command("UTF-16", "data/a.tsv.zst")
    assert command == "zstd -dc data/a.tsv.zst | iconv -f UTF-16 -t UTF-8 > data/a.utf8.tsv"
