"""`make package`: make the archives that `sam deploy` uploads, because sam's own differ between machines.

sam packs files in the order of the file system, so the same build gives other bytes elsewhere. Here entries
are sorted, and times and permissions are fixed, so a commit gives the same archives every time (with one
version of zlib). `sam deploy` uploads these archives unchanged, so it updates only what has changed.
"""

import hashlib
import shutil
import zipfile
from pathlib import Path
from typing import Any

from thimble_infra.build import BUILT, ROOT, digest

PACKAGE = ROOT / ".aws-sam" / "package"  # as deep as the build, so that the template's relative paths hold
MOMENT = (1980, 1, 1, 0, 0, 0)
UNIX = 3
LEVEL = 9


def main() -> None:
    for path in package(BUILT, PACKAGE):
        print(f"{path.name:20} {path.stat().st_size / 2**20:6.1f} MiB  sha256:{sha256(path)}")


def package(built: Path, into: Path) -> list[Path]:
    """Write the build's archives, one for each distinct content, and its templates; return the archives."""
    from samcli.yamlhelper import yaml_dump, yaml_parse

    into.mkdir(parents=True, exist_ok=True)
    for stale in into.iterdir():
        stale.unlink()
    template: dict[str, Any] = yaml_parse((built / "template.yaml").read_text())
    archives: dict[str, Path] = {}
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == "AWS::CloudFormation::Stack":
            nested = resource["Properties"]["TemplateURL"]
            resource["Properties"]["TemplateURL"] = f"{logical_id}.yaml"
            shutil.copyfile(built / nested, into / f"{logical_id}.yaml")
        for name in ("CodeUri", "ContentUri"):
            folder = built / str(resource["Properties"].get(name, ""))
            if name in resource["Properties"] and folder.is_dir():
                known = digest(folder)
                if known not in archives:
                    archives[known] = archive(folder, into / f"{folder.name}.zip")
                resource["Properties"][name] = archives[known].name
    (into / "template.yaml").write_text(yaml_dump(template))
    return list(archives.values())


def archive(folder: Path, path: Path) -> Path:
    """Write a zip of a folder's files that depends only on their names, bytes and permissions."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as found:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), MOMENT)
            entry.create_system, entry.compress_type = UNIX, zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if file.stat().st_mode & 0o100 else 0o100644) << 16
            found.writestr(entry, file.read_bytes(), compresslevel=LEVEL)
    return path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
