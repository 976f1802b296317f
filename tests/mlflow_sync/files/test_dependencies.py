"""Lines of environment files become packages; what is none stays as it was told."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from mlflow_sync.files.dependencies import packages

COMMIT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"


def pip(line: str) -> dict[str, Any]:
    (row,) = packages(pip=[line], conda=(), build=())
    assert row.pop("manager") == "pip"
    return row


def conda(line: str) -> dict[str, Any]:
    (row,) = packages(pip=(), conda=[line], build=())
    assert row.pop("manager") == "conda"
    return row


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (
            "scikit-learn==1.5.2",
            {
                "name": "scikit-learn",
                "specifier": "==1.5.2",
                "version": "1.5.2",
                "purl": "pkg:pypi/scikit-learn@1.5.2",
            },
        ),
        (
            "Scikit_Learn >= 1.2, < 2",
            {
                "name": "Scikit_Learn",
                "specifier": "<2,>=1.2",
                "purl": "pkg:pypi/scikit-learn",
            },
        ),
        ("numpy", {"name": "numpy", "purl": "pkg:pypi/numpy"}),
        (
            "numpy==1.*",
            {"name": "numpy", "specifier": "==1.*", "purl": "pkg:pypi/numpy"},
        ),
        (
            "torch==2.1.0+cu118",
            {
                "name": "torch",
                "specifier": "==2.1.0+cu118",
                "version": "2.1.0+cu118",
                "purl": "pkg:pypi/torch@2.1.0%2Bcu118",
            },
        ),
        (
            'mlflow[extras,db]===3.17 ; python_version < "3.12"',
            {
                "name": "mlflow",
                "specifier": "===3.17",
                "version": "3.17",
                "purl": "pkg:pypi/mlflow@3.17",
                "extras": ["db", "extras"],
                "marker": 'python_version < "3.12"',
            },
        ),
        (
            "lightgbm==4.5.0 --no-binary :all:",
            {
                "name": "lightgbm",
                "specifier": "==4.5.0",
                "version": "4.5.0",
                "purl": "pkg:pypi/lightgbm@4.5.0",
            },
        ),
    ],
)
def test_a_requirement_of_pip_is_a_package_of_pypi(
    line: str, row: dict[str, Any]
) -> None:
    assert pip(line) == row


@pytest.mark.parametrize(
    ("line", "known"),
    [
        (
            f"git+https://github.com/Acme/Risk.git@{COMMIT}#egg=risk",
            {
                "name": "risk",
                "version": COMMIT,
                "purl": f"pkg:github/acme/risk@{COMMIT}",
            },
        ),
        (
            "-e git+ssh://git@github.com/acme/risk.git@v1.2#egg=risk&subdirectory=lib",
            {"name": "risk", "purl": "pkg:github/acme/risk@v1.2#lib"},
        ),
        (
            "risk @ git+https://bitbucket.org/acme/risk",
            {"name": "risk", "purl": "pkg:bitbucket/acme/risk"},
        ),
        (
            "risk @ git+https://git.example.com/team/risk.git@v1",
            {
                "name": "risk",
                "purl": "pkg:generic/risk@v1?vcs_url="
                "git%2Bhttps://git.example.com/team/risk.git%40v1",
            },
        ),
        (
            "https://h.example.com/risk-1.0-py3-none-any.whl#sha256=0a",
            {
                "name": "risk",
                "version": "1.0",
                "purl": "pkg:pypi/risk@1.0?download_url="
                "https://h.example.com/risk-1.0-py3-none-any.whl",
            },
        ),
        (
            "risk @ https://h.example.com/main.zip",
            {
                "name": "risk",
                "purl": "pkg:pypi/risk?download_url=https://h.example.com/main.zip",
            },
        ),
        *(
            (
                path,
                {
                    "name": "risk",
                    "version": "1.0",
                    "purl": "pkg:pypi/risk@1.0?file_name=risk-1.0-py3-none-any.whl",
                },
            )
            for path in (
                "wheels/risk-1.0-py3-none-any.whl",
                "C:\\wheels\\risk-1.0-py3-none-any.whl",
                "file:///srv/risk-1.0-py3-none-any.whl",
            )
        ),
        ("-e .", {}),
        ("code/lib", {}),
        ("git+https://[bad/risk", {}),
        ("git+https://github.com/", {}),
        ("two words", {}),
        ("a;" + "(" * 245 + "python_version>'3'" + ")" * 235, {}),
    ],
)
def test_what_is_no_plain_requirement_stays_as_it_was_told(
    line: str, known: dict[str, str]
) -> None:
    assert pip(line) == {"told": line, **known}


@pytest.mark.parametrize(
    "url",
    [
        "git+https://ci:hunter2@git.example.com/risk.git@v1",
        "git+https://hunter2@github.com/acme/risk.git@v1",
        "https://ci:hunter2@h.example.com/risk-1.0.tar.gz",
        "https://h.example.com/risk-1.0.tar.gz?token=hunter2",
    ],
)
@pytest.mark.parametrize("line", ["{}", "risk @ {}", "-e {}"])
def test_no_credential_is_in_a_package_url(line: str, url: str) -> None:
    row = pip(line.format(url))

    assert row["purl"].startswith("pkg:")
    assert "hunter2" not in row["purl"]


@pytest.mark.parametrize(
    ("line", "specifier", "version", "purl"),
    [
        ("python=3.10.14", "=3.10.14", "3.10.14", "pkg:conda/python@3.10.14"),
        ("python=3.10", "=3.10", "", "pkg:conda/python"),
        ("Python==3.10", "==3.10", "3.10", "pkg:conda/python@3.10"),
        ("pip<=24", "<=24", "", "pkg:conda/pip"),
        ("numpy", "", "", "pkg:conda/numpy"),
        ("numpy 1.2", "1.2", "1.2", "pkg:conda/numpy@1.2"),
        ("numpy >=1.2,<2", ">=1.2,<2", "", "pkg:conda/numpy"),
        ("numpy==1.2.*", "==1.2.*", "", "pkg:conda/numpy"),
        (
            "conda-forge::numpy=1.2=py310_0",
            "=1.2=py310_0",
            "1.2",
            "pkg:conda/numpy@1.2?build=py310_0&channel=conda-forge",
        ),
        (
            "numpy 1.2.3 py310_0",
            "1.2.3 py310_0",
            "1.2.3",
            "pkg:conda/numpy@1.2.3?build=py310_0",
        ),
    ],
)
def test_a_specification_of_conda_is_a_package_of_conda(
    line: str, specifier: str, version: str, purl: str
) -> None:
    row = conda(line)

    assert row.pop("name").lower() == PackageURL.from_string(purl).name
    assert row.pop("purl") == purl
    assert (row.pop("specifier", ""), row.pop("version", "")) == (specifier, version)
    assert row == {}


@pytest.mark.parametrize("line", ["x[version='>=1']", "https://h/t/a/c::x", "", "&x"])
def test_what_conda_reads_otherwise_stays_as_it_was_told(line: str) -> None:
    assert conda(line) == {"told": line}


def test_a_package_is_told_once_and_what_builds_is_told_apart() -> None:
    rows = packages(pip=["a==1", "a==1", "b"], conda=["a==1"], build=["pip==24.0"])

    assert [(row["manager"], row["name"], row.get("scope")) for row in rows] == [
        ("pip", "a", None),
        ("pip", "b", None),
        ("conda", "a", None),
        ("pip", "pip", "build"),
    ]


HOSTILE = [
    "a;" + "(" * 490,
    "a[" + "b," * 240 + "]",
    "a" + "==1.0," * 80 + "==1",
    "a==" + "1." * 245,
    "a==" + "1" * 490,
    "a @ git+https://" + "@" * 480,
    "git+https://h/" + "@" * 480,
    "git+https://h/x#" + "egg=a&" * 80,
    "-e " + " " * 490,
    "a" + " --" * 160,
    "-" * 500,
    "a " + "=" * 490,
    "a" + " " * 490 + "b",
    "a/" * 250 + "::b",
    "_" * 499 + "!",
    "x-" * 240 + ".whl",
    "https://" + "\u202e\u2028" * 200,
]


@pytest.mark.parametrize("line", HOSTILE)
def test_a_hostile_line_costs_little(line: str) -> None:
    began = time.thread_time()  # of this thread alone, however busy the machine is

    packages(pip=[line], conda=[line], build=[line])

    assert time.thread_time() - began < 1  # it takes milliseconds


ANY_LINE = st.one_of(
    st.text(max_size=500),
    st.lists(
        st.sampled_from(
            ["a", "==", "1.0", " ", "@", "git+https://", "h/", "#egg=", "[", "]", ";",
             "(", ")", "-e ", ".whl", "\x00", "\ud800", "é", "\u202e", "=", "*", "::"]
        ),
        max_size=30,
    ).map("".join),
)  # fmt: skip


@given(ANY_LINE)
def test_whatever_a_line_holds_is_a_row_with_a_package_url_or_none(line: str) -> None:
    for row in packages(pip=[line], conda=[line], build=[line]):
        assert row.get("name") or row.get("told") == line
        json.dumps(row)
        if purl := row.get("purl"):
            assert purl.isascii()
            assert PackageURL.from_string(purl).to_string() == purl
