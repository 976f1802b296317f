"""What the lines of environment files name: packages, their versions, their package URLs.

Pure. The lines come from `sandbox_child`, short and without comments, and are hostile
all the same. What is no requirement (a path, a URL, an option's rest) is kept as told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from packageurl import PackageURL
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from mlflow_sync.normalize.text import clean_uri

Package = dict[str, Any]

_EDITABLE = re.compile(r"(?:-e|--editable)[\s=]\s*")
_OPTIONS = re.compile(r"\s--?[a-z].*")  # of pip, for this requirement alone
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://")
_VCS = re.compile(r"(?:git|hg|svn|bzr)\+[a-z]{1,10}")
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_HOSTS = {
    "github.com": "github",
    "bitbucket.org": "bitbucket",
}  # types of the purl spec

# channel::name, and what follows: a specifier, or version and build after a space.
_CONDA = re.compile(
    r"(?:(?P<channel>[\w.-]{1,100}(?:/[\w.-]{1,100}){0,3})::)?"
    r"(?P<name>[A-Za-z0-9_][\w.-]{0,200})\s*(?P<rest>(?:[=<>!~\s].*)?)",
    re.ASCII | re.DOTALL,
)
_CONDA_PIN = re.compile(
    r"(?P<sign>={0,2})\s*(?P<version>[0-9][\w.!+-]*)(?:(?:=|\s+)(?P<build>\w[\w.+-]*))?",
    re.ASCII,
)
_FULL_RELEASE = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\S*")


def packages(
    *, pip: Iterable[str], conda: Iterable[str], build: Iterable[str]
) -> list[Package]:
    """Return what an environment is made of, each package once.

    A row has `manager` (pip or conda) and, where it is known, name, specifier, version
    where exactly one is allowed, purl, extras and marker; `told` where the line is no
    plain requirement; `scope` “build” for what only builds the environment.
    """
    rows: list[Package] = [{"manager": "pip", **_of_pip(line)} for line in pip]
    rows += ({"manager": "conda", **_of_conda(line)} for line in conda)
    rows += ({"manager": "pip", "scope": "build", **_of_pip(line)} for line in build)
    return list({repr(row): row for row in rows}.values())


@lru_cache(maxsize=4096)
def _of_pip(line: str) -> Package:
    """Read a requirement; the row is shared, and changed by nobody."""
    text = _EDITABLE.sub("", line, count=1) if line.startswith("-") else line
    text = _OPTIONS.sub("", text).strip()
    try:
        required = Requirement(text)
    except (InvalidRequirement, RecursionError):  # a marker may be nested too deep
        return {"told": line, **_of_place("", text)}
    row: Package = {"name": required.name}
    if required.url:
        row |= {"told": line, **_of_place(required.name, required.url)}
    else:
        version = _pinned(required.specifier)
        row |= {
            "specifier": str(required.specifier),
            "version": version,
            "purl": _purl(
                "pypi", name=canonicalize_name(required.name), version=version
            ),
        }
    row["extras"] = sorted(required.extras)
    row["marker"] = str(required.marker or "")
    return {key: value for key, value in row.items() if value}


def _pinned(specifiers: SpecifierSet) -> str:
    """Return the only version that is allowed, "" where there may be others."""
    exact = [
        each.version
        for each in specifiers
        if each.operator in ("==", "===") and not each.version.endswith(".*")
    ]
    return exact[0] if len(exact) == 1 else ""


def _of_place(name: str, place: str) -> Package:
    """Read where a package is taken from, instead of from an index.

    Only a wheel, an archive or a whole commit says which version it is.
    """
    place = clean_uri(place)
    try:
        parts = urlsplit(place)
        told = parse_qs(parts.fragment, max_num_fields=20)
    except ValueError:  # brackets that hold no address, too many fields
        return _known(name=name)
    if _VCS.fullmatch(parts.scheme):
        return _of_repository(name, parts, told)
    is_remote = bool(_URL.match(place)) and parts.scheme != "file"
    file = (unquote(parts.path) if is_remote else place).replace("\\", "/")
    file = file.rpartition("/")[2]
    found, version = _of_file(file)
    name = name or found
    qualifiers = {"file_name": file}
    if is_remote:
        qualifiers = {"download_url": parts._replace(fragment="").geturl()}
    purl = ""
    if found or (name and is_remote):
        purl = _purl(
            "pypi",
            name=canonicalize_name(name),
            version=version,
            qualifiers=qualifiers,
        )
    return _known(name=name, version=version, purl=purl)


def _of_repository(
    name: str, parts: SplitResult, told: dict[str, list[str]]
) -> Package:
    path, _, revision = parts.path.rpartition("@")
    if not path:
        path, revision = parts.path, ""
    path = path.strip("/").removesuffix(".git")
    owner, _, repository = path.rpartition("/")
    egg = told.get("egg", [""])[0].partition("[")[0]
    name = name or (egg if _NAME.fullmatch(egg) else "")
    subpath = told.get("subdirectory", [""])[0]
    kind = _HOSTS.get(parts.hostname or "")
    if kind and owner and "/" not in owner:
        found = _purl(
            kind, namespace=owner, name=repository, version=revision, subpath=subpath
        )
    else:
        address = parts._replace(fragment="").geturl()
        found = _purl(
            "generic",
            name=name or unquote(repository),
            version=revision,
            qualifiers={"vcs_url": address},
            subpath=subpath,
        )
    version = revision if _COMMIT.fullmatch(revision) else ""
    return _known(name=name or unquote(repository), version=version, purl=found)


def _of_file(file: str) -> tuple[str, str]:
    """Return name and version that the name of a wheel or of an archive tells."""
    try:
        if file.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(file)
        elif file.endswith((".tar.gz", ".zip")):
            name, version = parse_sdist_filename(file)
        else:
            return "", ""
    except (InvalidWheelFilename, InvalidSdistFilename):
        return "", ""
    return name, str(version)


@lru_cache(maxsize=4096)
def _of_conda(line: str) -> Package:
    """Read a match specification of conda.

    `=3.10` allows any 3.10 and pins nothing. A whole release after one sign counts as
    pinned all the same: so MLflow writes the very Python that it ran on.
    """
    match = _CONDA.fullmatch(line.strip())
    if not match:
        return {"told": line}
    rest = match["rest"].strip()
    version = build = ""
    if pin := _CONDA_PIN.fullmatch(rest):
        build = pin["build"] or ""
        if build or pin["sign"] != "=" or _FULL_RELEASE.fullmatch(pin["version"]):
            version = pin["version"]
    qualifiers = {"build": build, "channel": match["channel"] or ""}
    return _known(
        name=match["name"],
        specifier=rest,
        version=version,
        purl=_purl(
            "conda",
            name=match["name"].lower(),
            version=version,
            qualifiers={key: told for key, told in qualifiers.items() if told},
        ),
    )


def _purl(
    kind: str,
    *,
    name: str,
    namespace: str = "",
    version: str = "",
    qualifiers: dict[str, str] | None = None,
    subpath: str = "",
) -> str:
    """Return a package URL, "" where the specification allows none."""
    try:
        return PackageURL(
            kind, namespace, name, version, qualifiers, subpath
        ).to_string()
    except ValueError:
        return ""


def _known(**values: str) -> Package:
    return {key: value for key, value in values.items() if value}
