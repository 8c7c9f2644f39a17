"""`make fuzz`: one target under atheris for some seconds, from seeds; what it finds is left in the folder."""

import json
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["thimble"]):
    from tests.fuzz import targets
    from thimble import telemetry


def quiet(*message: str, **about: object) -> None:
    telemetry._counts.clear()
    telemetry._noted.clear()


telemetry.request, telemetry.line, telemetry.flush = quiet, quiet, quiet


def main() -> None:
    name, seconds, corpus = sys.argv[1:]
    folder = Path(corpus) / name
    folder.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(seeds(name)):
        (folder / f"seed-{i}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=65536"]
    atheris.Setup(
        [sys.argv[0], *options, f"-artifact_prefix={corpus}/{name}-", str(folder)], targets.TARGETS[name]
    )
    atheris.Fuzz()


def wide(steps: list[dict[str, object]]) -> bytes:
    """A document that asks for much."""
    preprocessing = {"types": ["number"], "missing": [0], "steps": steps, "outputs": [0]}
    network = {"classes": ["a", "b"], "coefs": [[[1]]], "intercepts": [[0]], "out_activation": "logistic"}
    return json.dumps(network | {"preprocessing": preprocessing}, separators=(",", ":")).encode()


def seeds(name: str) -> list[bytes]:
    """Something sound of each kind."""
    if name == "document":
        return [targets.IRIS, targets.PENGUINS, targets.SEXES, *map(wide, targets.WIDE)]
    if name == "key":
        return [
            b"a/b.csv",
            b"../a",
            "ä+%2f \n".encode(),
            b"/a//b.csv",
            b"./a.csv",
            "zugeho\u0308rig.csv".encode(),
            b"k" * 1000,
        ]
    if name == "packed":
        import gzip

        from backports import zstd

        return [
            b"\0\7" + gzip.compress(b"1,2\n") * 3,
            b"\1\7" + zstd.compress(b"1,2\n") * 3,
            b"\0\7" + gzip.compress(b"") * 9,
        ]
    if name == "alone":
        return [b"\05.1,3.5,1.4,0.2,x\nn/a,,-nan,1e3,K\xf6ln\n", b'\1{}\n[]\n{"a":NaN}\n']
    rows = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
    if name == "request":
        tensor = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP64","data":[5.1,3.5,1.4,0.2]}]}'
        split = b'{"dataframe_split":{"columns":["a"],"data":[[1]]}}'
        return [
            bytes([path, kind, 0, 0]) + body
            for path in range(len(targets.PATHS))
            for kind, body in (
                (0, rows),
                (0, tensor),
                (0, split),
                (1, b"5.1,3.5,1.4,0.2\n"),
                (3, b"\x93NUMPY\x01\x00"),
            )
        ]
    return [bytes([i]) + data for i, data in enumerate(files())]


def files() -> list[bytes]:
    import gzip
    import io

    import polars as pl
    from backports import zstd

    table = pl.DataFrame({name: [5.1, 3.5] for name in targets.NAMES})
    csv, lines = table.write_csv().encode(), table.write_ndjson().encode()
    array, parquet = table.write_json().encode(), io.BytesIO()
    table.write_parquet(parquet)
    tsv = csv.replace(b",", b"\t")
    packed = [gzip.compress(csv), zstd.compress(csv), gzip.compress(lines), zstd.compress(array)]
    return [csv, tsv, lines, array, parquet.getvalue(), *packed]


if __name__ == "__main__":
    main()
