"""An MLflow of old that is not there: a server that answers as it was recorded to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

HERE = Path(__file__).parent
RECORDINGS = sorted(HERE.glob("mlflow-*/*.json"))
_RUN_IDS = re.compile(r"(?<=attributes\.run_id IN )\((.*)\)")


class Replay:
    """Answers from a recording; `unknown` are the requests that it holds no answer to.

    A list that is asked for in pages of another size comes in the largest that there are.
    """

    def __init__(self, front: HTTPServer, recording: Path) -> None:
        told = json.loads(recording.read_text(encoding="utf-8"))
        self.url = front.url_for("")
        self.release: str = told["mlflow"]
        self.unknown: list[str] = []
        self.asked: set[str] = set()
        self._answers: dict[str, dict[int, dict[str, Any]]] = {}
        for exchange in told["exchanges"]:
            key, size = _key(**exchange["request"])
            self._answers.setdefault(key, {})[size] = exchange["answer"]
        front.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    @property
    def unasked(self) -> set[str]:
        """What was recorded and is not asked for any more."""
        return self._answers.keys() - self.asked

    def _answer(self, request: Request) -> Response:
        body = json.loads(request.get_data()) if request.get_data() else None
        query = list(request.args.items(multi=True))
        key, size = _key(request.method, request.path, query, body)
        if key not in self._answers:
            self.unknown.append(key)
            return Response("This was not recorded.", status=404)
        self.asked.add(key)
        sizes = self._answers[key]
        answer = sizes.get(size) or sizes[max(sizes)]
        content = json.dumps(answer["json"]) if "json" in answer else answer["text"]
        return Response(content, answer["status"], content_type=answer["type"])


def _key(
    method: str, path: str, query: Any = (), body: dict[str, Any] | None = None
) -> tuple[str, int]:
    """Return what a request asks for, and in pages of which size.

    Ids of runs are a set, whatever the order in which they are told.
    """
    told = dict(body or {})
    size = told.pop("max_results", 0)
    rest = []
    for name, value in query:
        if name == "max_results":
            size = value
        else:
            rest.append((name, value))
    if "filter" in told:
        told["filter"] = _RUN_IDS.sub(
            lambda ids: ", ".join(sorted(ids[1].split(", "))), told["filter"]
        )
    return json.dumps([method, path, sorted(rest), told], sort_keys=True), int(size)
