"""`make package`: the same files, however and in whatever order they came about, give the same archive."""

import os
import zipfile
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_parse

from thimble_infra.packaging import archive, package, sha256

FILES = {"api.py": b"pass\n", "thimble/rows.py": b"pass\n", "b/run": b"#!/bin/sh\n", "a.so": bytes(9999)}
TEMPLATE = """
Resources:
  Api: {Type: AWS::Serverless::Function, Properties: {CodeUri: Api, Role: !GetAtt Role.Arn}}
  Files: {Type: AWS::Serverless::Function, Properties: {CodeUri: Files}}
  Layer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: Layer}}
  Queue: {Type: AWS::SQS::Queue, Properties: {}}
  Watch: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: Watch/template.yaml}}
"""


def made(folder: Path, names: list[str]) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[name])
        path.chmod(0o755 if name == "b/run" else 0o644)
    return folder


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    one = made(tmp_path / "one", list(FILES))
    other = made(tmp_path / "other", list(reversed(FILES)))
    (other / "a.so").chmod(0o664)
    os.utime(other / "api.py", (1, 1))
    archives = [archive(folder, folder.with_suffix(".zip")) for folder in (one, other)]
    assert sha256(archives[0]) == sha256(archives[1])
    with zipfile.ZipFile(archives[0]) as found:
        assert found.namelist() == sorted(FILES)
        assert {name: found.read(name) for name in FILES} == FILES
        assert found.getinfo("b/run").external_attr >> 16 == 0o100755


def test_another_byte_gives_another_archive(tmp_path: Path) -> None:
    folder = made(tmp_path / "one", list(FILES))
    before = sha256(archive(folder, tmp_path / "before.zip"))
    (folder / "api.py").write_bytes(b"PASS\n")
    assert sha256(archive(folder, tmp_path / "after.zip")) != before


def test_functions_of_the_same_code_share_an_archive(tmp_path: Path) -> None:
    built = tmp_path / "build"
    for name in ("Api", "Files"):
        made(built / name, list(FILES))
    made(built / "Layer", ["a.so"])
    (built / "template.yaml").write_text(TEMPLATE)
    (built / "Watch").mkdir()
    (built / "Watch/template.yaml").write_text("Resources: {}")
    archives = package(built, tmp_path / "package")
    assert [path.name for path in archives] == ["Api.zip", "Layer.zip"]
    resources = yaml_parse((tmp_path / "package/template.yaml").read_text())["Resources"]
    assert [resources[name]["Properties"]["CodeUri"] for name in ("Api", "Files")] == ["Api.zip", "Api.zip"]
    assert resources["Layer"]["Properties"]["ContentUri"] == "Layer.zip"
    assert resources["Watch"]["Properties"]["TemplateURL"] == "Watch.yaml"
    assert (tmp_path / "package/Watch.yaml").read_text() == "Resources: {}"
    assert resources["Api"]["Properties"]["Role"] == {"Fn::GetAtt": ["Role", "Arn"]}


@pytest.mark.parametrize("name", ["CodeUri", "ContentUri"])
def test_sam_uploads_an_archive_as_it_is(name: str, tmp_path: Path) -> None:
    """What the whole approach stands on."""
    from samcli.lib.package.utils import is_local_file, is_zip_file

    path = archive(made(tmp_path / "one", list(FILES)), tmp_path / f"{name}.zip")
    assert is_local_file(str(path))
    assert is_zip_file(str(path))
