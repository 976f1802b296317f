"""Artifacts are strangers' bytes: they do nothing, but appear as text.

Each test puts something evil where a real MLflow finds it, or lets what stands before it
lie, syncs, and reads the version's page and its entry in the API.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request, Response

from accounts import tenancy
from accounts.models import Organization, User
from inventory.models import ModelVersion
from mlflow_sync.client import artifacts
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.servers import save_server
from tests.callers import calling
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.faulty import Fault, Faulty
from tests.mlflow_sync.files.test_sandbox import LAUGHS
from tests.mlflow_sync.test_sync import version_of
from tests.pages import Visitor
from tests.registry import Registry, unique

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = "<script>alert('owned')</script>"
IMAGE = "<img src=x onerror=alert(1)>"
TURNED = "\u202e"  # what follows is read from right to left


@pytest.fixture
def server(acme: Organization, faulty: Faulty) -> TrackingServer:
    with tenancy.acting_for(acme):
        return save_server(TrackingServer(url=faulty.url), name="Production")


@dataclass(frozen=True)
class Shown:
    """What people and programs are told of a version."""

    page: str
    entry: dict[str, Any]

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        return {row["path"]: row for row in self.entry["artifact_manifest"]}


@dataclass(frozen=True)
class Model:
    """A version of a real MLflow; `folder` is where its files lie on the disk."""

    name: str
    folder: Path

    def write(self, path: str, content: bytes | str = b"x") -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target


@pytest.fixture
def model(own_registry: Registry) -> Iterator[Model]:
    """A model that is gone after its test: no other sync is to list its files."""
    experiment = own_registry.experiment()
    run = own_registry.run(experiment)
    name = own_registry.model(unique("evil"))
    place = f"{experiment}/{run}/artifacts/model"
    own_registry.version(name, source=f"mlflow-artifacts:/{place}", run_id=run)
    yield Model(name, own_registry.server.folder / "artifacts" / place)
    own_registry.send("DELETE", "registered-models/delete", name=name)


@pytest.fixture
def sync(
    acme: Organization, alice: User, model: Model, sync_now: Syncer
) -> Callable[[], Shown]:
    """Sync, and look at the version."""

    def look() -> Shown:
        run = sync_now(artifacts=True)
        assert run.status in (SyncRun.Status.SUCCEEDED, SyncRun.Status.PARTIAL), (
            run.error
        )
        with tenancy.acting_for(acme):
            version: ModelVersion = version_of(model.name)
        page = Visitor(alice).page(f"inventory/modelversion/{version.pk}/change/")
        status, entry = calling(alice).get(f"modelInventory/{version.pk}/")
        assert status == 200
        return Shown(page, entry)

    return look


def listing(change: Callable[[list[dict[str, Any]]], object]) -> Fault:
    """Return a fault that changes the list of the model's own files."""

    def fault(request: Request, response: Response) -> Response:
        if not is_listing(request):
            return response
        answer = json.loads(response.get_data())
        files = answer.setdefault("files", [])
        change(files)
        return Response(json.dumps(answer), content_type="application/json")

    return fault


def is_listing(request: Request) -> bool:
    is_list = request.path.endswith("/artifacts/list")
    return is_list and request.args.get("path") == "model"


# Content


class Bomb:
    """Makes a file when it is loaded from a pickle."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.target), "w")


def test_a_pickle_is_never_loaded_whatever_it_is_called(
    model: Model, sync: Callable[[], Shown], tmp_path: Path
) -> None:
    owned = tmp_path / "owned"
    content = pickle.dumps(Bomb(owned))
    pickle.loads(content).close()  # noqa: S301 - it is ours, and shows that it works
    owned.unlink()
    read = ("MLmodel", "conda.yaml", "requirements.txt", "model_card.md", "bias.json")
    for name in (*read, "model.pkl", "pytorch_model.bin", "data/weights.bin"):
        model.write(name, content)

    shown = sync()

    assert not owned.exists()
    assert {shown.files[name]["state"] for name in read} == {"hashed"}
    assert shown.files["model.pkl"]["state"] == "not_asked"
    assert {name for name, row in shown.files.items() if row.get("unsafe")} == {
        "model.pkl",
        "pytorch_model.bin",
    }
    assert "MLmodel: It is not UTF-8 text. (And 2 more.)" in shown.page
    assert shown.entry["mlmodel"] == shown.entry["signature"] == {}


def test_a_yaml_that_explodes_or_calls_is_given_up_and_named(
    model: Model, sync: Callable[[], Shown], tmp_path: Path
) -> None:
    owned = tmp_path / "owned"
    call = f"!!python/object/apply:os.system ['touch {owned}']"
    model.write("conda.yaml", LAUGHS)
    model.write("python_env.yaml", b"[" * 500_000)
    model.write("MLmodel", f"flavors: {{x: {call}}}\nmlflow_version: {call}\n")
    model.write("requirements.txt", "mlflow==3.17.2\n")

    shown = sync()

    assert not owned.exists()
    assert shown.entry["incomplete"] == {
        "environment": "conda.yaml: It has more than 20 aliases. (And 1 more.)"
    }
    assert shown.entry["flavors"] == ["x"]
    assert "mlflow_version" not in shown.entry["mlmodel"]
    assert shown.entry["runtime_environment"]["dependencies"] == ["mlflow==3.17.2"]


def test_markup_is_shown_as_text(model: Model, sync: Callable[[], Shown]) -> None:
    signature = json.dumps([{"name": SCRIPT, "type": IMAGE}])
    flavors = {SCRIPT: {"loader_module": IMAGE, "serialization_format": SCRIPT}}
    model.write(
        "MLmodel",
        json.dumps(
            {
                "flavors": flavors,
                "mlflow_version": SCRIPT,
                "utc_time_created": IMAGE,
                "model_size_bytes": SCRIPT,
                "signature": {"inputs": signature},
            }
        ),
    )
    model.write("requirements.txt", f"{SCRIPT}\nrisk @ git+https://h/{IMAGE}\n")
    model.write("conda.yaml", json.dumps({"dependencies": [IMAGE]}))
    model.write("model_card.html", SCRIPT)
    model.write(f"report {SCRIPT.replace('/', '')} {IMAGE}.md", SCRIPT)

    shown = sync()

    assert "alert('owned')" not in shown.page
    assert "<img src=x" not in shown.page
    assert "&lt;script&gt;alert(&#x27;owned&#x27;)&lt;/script&gt;" in shown.page
    assert shown.entry["flavors"] == [SCRIPT]
    assert shown.entry["input_schema"] == {SCRIPT: IMAGE}
    assert shown.entry["runtime_environment"]["dependencies"] == [
        SCRIPT,
        f"risk @ git+https://h/{IMAGE}",
    ]
    assert shown.entry["model_card_uri"] == "model_card.html"


def test_the_text_of_a_model_card_is_stored_nowhere(
    model: Model, sync: Callable[[], Shown]
) -> None:
    model.write("model_card.md", f"# Card {SCRIPT} unlikely-word")

    shown = sync()

    assert shown.files["model_card.md"]["state"] == "hashed"
    assert "unlikely-word" not in shown.page + json.dumps(shown.entry)


# Names


@pytest.mark.parametrize(
    "path",
    [
        "../../../../etc/passwd",
        "/etc/passwd",
        "model/../../secrets/passwd",
        "model/./passwd",
        "model//passwd",
        "modelling/passwd",
        "..",
        "",
    ],
)
def test_a_path_that_leads_elsewhere_is_left_out_and_never_asked_for(
    model: Model, sync: Callable[[], Shown], faulty: Faulty, path: str
) -> None:
    model.write("MLmodel", "flavors: {}")
    told = {"path": path, "is_dir": False, "file_size": 4}
    asked = []

    def fault(request: Request, response: Response) -> Response:
        asked.append(request.full_path)
        return listing(lambda files: files.append(told))(request, response)

    faulty.fault = fault

    shown = sync()

    assert list(shown.files) == ["MLmodel"]
    assert "passwd" not in " ".join(asked)
    assert "The path leads out of the folder that was listed." in shown.page


def test_signs_that_are_not_to_be_seen_are_seen(
    model: Model, sync: Callable[[], Shown]
) -> None:
    names = [
        f"report_{TURNED}gnp.exe",
        "two\nlines.txt",
        "\x1b[31mred.txt",
        "zero\u200bwidth.pkl",
        "tab\there.md",
    ]
    for name in names:
        model.write(name)

    shown = sync()

    assert sorted(shown.files) == sorted(names)  # programs are told them as they are
    assert shown.files["zero\u200bwidth.pkl"]["unsafe"]
    for sign in (TURNED, "\x1b", "\u200b", "two\nlines"):
        assert sign not in shown.page
    assert 'report_<span class="vw-sign">U+202E</span>gnp.exe' in shown.page
    assert 'two<span class="vw-sign">U+000A</span>lines.txt' in shown.page


def test_names_that_postgresql_cannot_store_are_stored_all_the_same(
    model: Model, sync: Callable[[], Shown], faulty: Faulty
) -> None:
    model.write("MLmodel", "flavors: {}")
    odd = ["model/nul\x00.pkl", "model/lone\ud800.pkl"]
    faulty.fault = listing(lambda files: files.extend({"path": path} for path in odd))

    shown = sync()

    assert {"nul\ufffd.pkl", "lone\ufffd.pkl", "MLmodel"} == set(shown.files)


def test_names_and_files_that_are_links_lead_nowhere(
    model: Model, sync: Callable[[], Shown], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("password: hunter2hunter2")
    model.write("MLmodel", "flavors: {}")
    model.write("link -> ..passwd")
    (model.folder / "model_card.md").symlink_to(secret)
    (model.folder / "requirements.txt").symlink_to(secret)
    (model.folder / "loop").symlink_to(model.folder)

    shown = sync()

    assert shown.files["link -> ..passwd"]["state"] == "not_asked"
    assert "hunter2" not in shown.page + json.dumps(shown.entry)
    assert len(shown.files) < artifacts.MAX_FILES


# Size and number


def test_a_file_that_claims_five_gigabytes_is_not_asked_for(
    model: Model, sync: Callable[[], Shown], faulty: Faulty
) -> None:
    model.write("MLmodel", "flavors: {}")
    with model.write("model_card.md").open("r+b") as sparse:
        sparse.truncate(5 * 2**30)
    asked: list[str] = []

    def note(request: Request, response: Response) -> Response:
        asked.append(request.full_path)
        return response

    faulty.fault = note

    shown = sync()

    card = shown.files["model_card.md"]
    assert (card["state"], card["size"]) == ("too_large", 5 * 2**30)
    assert "sha256" not in card
    assert not [path for path in asked if "model_card" in path]
    assert "5.4 GB" in shown.page
    assert shown.entry["incomplete"] == {}


@pytest.mark.parametrize("size", [4, -1, "9" * 5000, 10**18, None, [1]])
def test_a_size_that_lies_changes_nothing_but_what_is_read(
    model: Model, sync: Callable[[], Shown], faulty: Faulty, size: Any
) -> None:
    model.write("MLmodel", "flavors: {}")
    model.write("model_card.md", b"x" * 3 * 2**20)

    def lie(files: list[dict[str, Any]]) -> None:
        for file in files:
            if file["path"].endswith("model_card.md"):
                file["file_size"] = size

    faulty.fault = listing(lie)

    shown = sync()

    assert shown.files["model_card.md"]["state"] in ("unavailable", "too_large")
    assert "larger than 1,048,576 bytes" in shown.files["model_card.md"]["reason"]
    assert shown.files["MLmodel"]["state"] == "hashed"


def test_ten_thousand_files_are_cut_and_the_page_is_still_a_page(
    model: Model, sync: Callable[[], Shown]
) -> None:
    for number in range(10_000):
        (model.folder / "many").mkdir(parents=True, exist_ok=True)
        (model.folder / "many" / f"{number:05}.pkl").touch()
    model.write("MLmodel", "flavors: {sklearn: {}}")

    shown = sync()

    assert len(shown.files) == artifacts.MAX_FILES
    assert shown.files["MLmodel"]["state"] == "hashed"
    assert "The listing was stopped after 1,000 files." in shown.page
    assert len(shown.page) < 2**20


def test_folders_without_end_are_listed_to_a_depth(
    model: Model, sync: Callable[[], Shown]
) -> None:
    model.write("/".join(["deep"] * 40) + "/file.txt")
    model.write("deep/near.txt")

    shown = sync()

    assert list(shown.files) == ["deep/near.txt"]
    assert "The folder lies deeper than 5 levels: it was not listed." in shown.page


@pytest.mark.parametrize("files", ["abc", [None], [["MLmodel"]], {"path": "x"}, 7])
def test_a_list_that_is_none_is_told_and_spoils_nothing_else(
    model: Model, sync: Callable[[], Shown], faulty: Faulty, files: Any
) -> None:
    model.write("MLmodel", "flavors: {}")

    def fault(request: Request, response: Response) -> Response:
        if not is_listing(request):
            return response
        return Response(json.dumps({"root_uri": "x", "files": files}))

    faulty.fault = fault

    shown = sync()

    assert shown.files == {}
    assert "list of files is not as MLflow makes them" in shown.page
    assert shown.entry["model_name"] == model.name


def lines() -> Iterator[str]:
    """Make a requirements file that would keep a careless reader busy."""
    yield "a;" + "(" * 245 + "os_name=='x'" + ")" * 235
    yield "a @ git+https://ci:hunter2hunter2@h.example.com/a.git@" + "@" * 300
    yield "x" * 100_000
    for number in range(3_000):
        yield f"package-{number}" + "==1." * 40 + "é\u202e"


def test_requirements_without_end_are_read_to_a_bound(
    model: Model, sync: Callable[[], Shown]
) -> None:
    model.write("requirements.txt", "\n".join(lines()))

    shown = sync()

    environment = shown.entry["runtime_environment"]
    assert len(environment["dependencies"]) == len(environment["packages"]) == 2_000
    assert max(map(len, environment["dependencies"])) <= 500
    assert "hunter2" not in shown.page + json.dumps(shown.entry)
    assert TURNED not in shown.page
