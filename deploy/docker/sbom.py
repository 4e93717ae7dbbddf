"""Writes what an image holds, as CycloneDX: packages of Python, the interpreter, the system's.

Run it in the build of an image, by the interpreter of the base, with cyclonedx-python-lib at hand:

    python3 sbom.py minimal --root /image --origins /origins.json
    python3 sbom.py alpine --root /

It looks at the files of the root. Every `*.dist-info` is a package of Python; every shared
library belongs to the package that installed it, or to the interpreter, or the build fails.
`--origins` says which file of the base each binary was (rootfs.py writes it); without it the root
is the base itself, and every package of the system is inside.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PathDistribution
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import system_packages
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.component_evidence import ComponentEvidence, Occurrence
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

PLACE = Path("usr/share/sbom/anthropic-bedrock-proxy.cdx.json")
PACKAGES, REPORT = Path("/packages"), Path("/report.json")  # by install.sh
_OF_THE_BUILD = ("proc", "sys", "dev", "source", "tools")
# What is no binary, and stands in the image for a package of the system.
_DATA = {"ca-certificates": "/etc/ssl/certs/ca-certificates.crt"}
_LIBRARY = re.compile(r".+\.so(\.[\w.]+)?")
_licenses = LicenseFactory()


def main() -> None:
    """Writes the document into the root."""
    parser = argparse.ArgumentParser(description="Writes what an image holds, as CycloneDX.")
    parser.add_argument("variant")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--origins", type=Path)
    options = parser.parse_args()
    root: Path = options.root
    paths = sorted(files(root))
    binaries = [path for path in paths if _LIBRARY.fullmatch(Path(path).name)]
    if options.origins:
        origins: dict[str, str] = json.loads(options.origins.read_text())
    else:
        origins = {path: path for path in (*binaries, str(Path(sys.executable).resolve()))}
    components = [
        *python_packages(root, paths, hashes_of(REPORT)),
        *system_components(root, origins, every=options.origins is None),
    ]
    claimed = {
        place.location for one in components if one.evidence for place in one.evidence.occurrences
    }
    components.append(interpreter(origins, {path for path in binaries if path not in claimed}))
    (proxy,) = (one for one in components if one.name == "anthropic-bedrock-proxy")
    bom = Bom(components=components)
    bom.metadata.component = Component(
        name=f"anthropic-bedrock-proxy {options.variant}",
        version=proxy.version,
        type=ComponentType.CONTAINER,
        bom_ref="image",
    )
    bom.register_dependency(bom.metadata.component, components)
    write(bom, root / PLACE)


def write(bom: Bom, place: Path) -> None:
    """Writes the document: the same bytes of the same contents, so neither chance nor the hour."""
    bom.serial_number = uuid5(NAMESPACE_URL, " ".join(str(one.purl) for one in bom.components))
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(document, separators=(",", ":")))


def files(root: Path) -> Iterator[str]:
    """Yields the paths of regular files, as the image has them."""
    for folder, folders, names in os.walk(root):
        if Path(folder) == Path("/"):
            folders[:] = [name for name in folders if name not in _OF_THE_BUILD]
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                yield f"/{path.relative_to(root)}"


def hashes_of(report: Path) -> dict[str, str]:
    """Returns the SHA-256 of the archive that each package was installed from, by pip's report."""
    return {
        _normal(item["metadata"]["name"]): item["download_info"]["archive_info"]["hashes"]["sha256"]
        for item in json.loads(report.read_text())["install"]
    }


def python_packages(
    root: Path, paths: Iterable[str], hashes: Mapping[str, str]
) -> Iterator[Component]:
    """Yields a component for each package of Python in the root."""
    there = set(paths)
    for path in paths:
        if not path.endswith(".dist-info/METADATA"):
            continue
        metadata = Path(path).parent
        found = PathDistribution(root / str(metadata)[1:])
        name = _normal(found.name)
        # The image may have no RECORD; the folder that it was made of has.
        recorded = PathDistribution(PACKAGES / metadata.name).files or found.files or ()
        owned = {f"{metadata.parent}/{file}" for file in recorded}
        hashed = hashes.get(name)
        yield _component(
            PackageURL("pypi", None, name, found.version),
            licenses=_licenses_of(found),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hashed)] if hashed else (),
            places=[path for path in owned & there if _LIBRARY.fullmatch(Path(path).name)],
        )


def _licenses_of(found: PathDistribution) -> list[str]:
    said = found.metadata
    if expression := said.get("License-Expression"):
        return [expression]
    classified = [
        line.rpartition(" :: ")[2]
        for line in said.get_all("Classifier", ())
        if line.startswith("License :: ")
    ]
    return classified or [(said.get("License") or "see its files").partition("\n")[0]]


def _normal(name: str) -> str:
    """Returns the form of a name that package URLs have."""
    return re.sub(r"[-_.]+", "-", name).lower()


def interpreter(origins: Mapping[str, str], unclaimed: Iterable[str]) -> Component:
    """Returns CPython, with the binaries that no package has: where the base compiled it itself.

    Ends the build if one of them is not from the interpreter's own folders.
    """
    program = Path(sys.executable).resolve()
    places = {place for place, origin in origins.items() if Path(origin).resolve() == program}
    for path in unclaimed:
        if not origins.get(path, "").startswith(f"{sys.base_prefix}/lib/"):
            raise SystemExit(f"{path} belongs to no package")
        places.add(path)
    version = ".".join(map(str, sys.version_info[:3]))
    return _component(
        PackageURL("generic", None, "cpython", version), licenses=["PSF-2.0"], places=places
    )


def system_components(
    root: Path, origins: Mapping[str, str], *, every: bool
) -> Iterator[Component]:
    """Yields the packages of the system that have something in the root, or every one.

    Of the former it keeps the licences.
    """
    for package in system_packages.installed():
        places = [place for place, origin in origins.items() if package.has(origin)]
        places += [_DATA[package.name]] if package.name in _DATA else []
        if not (every or places):
            continue
        yield _component(
            package.purl,
            licenses=package.licenses,
            places=places,
        )
        if not every and package.copyright.exists():
            kept = root / "usr/share/licenses" / package.name
            kept.mkdir(parents=True)
            shutil.copy(package.copyright, kept / "copyright")


def _component(
    purl: PackageURL,
    *,
    licenses: Iterable[str],
    places: Iterable[str],
    hashes: Iterable[HashType] = (),
) -> Component:
    names = sorted(set(licenses))
    # An expression stands alone in CycloneDX; several are names of what is in the package.
    make = _licenses.make_from_string if len(names) == 1 else _licenses.make_with_name
    found = [Occurrence(location=place) for place in places]
    return Component(
        name=purl.name,
        version=purl.version,
        purl=purl,
        bom_ref=str(purl),
        licenses=[make(text) for text in names],
        hashes=hashes,
        type=ComponentType.LIBRARY,
        evidence=ComponentEvidence(occurrences=found) if found else None,
    )


if __name__ == "__main__":
    main()
