"""The opponent: the same requests over one connection, bodies decoded, nothing kept.

`python -m bench.opponent URL` prints one JSON object.
"""

from __future__ import annotations

import http.client
import json
import statistics
import sys
import time
from urllib.parse import urlencode, urlsplit

API = "/api/2.0/mlflow"
VERSIONS_PER_PAGE = 300


def download(url: str) -> list[float]:
    """Read the registry as a sync does; return the seconds of each request."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    seconds: list[float] = []

    def ask(method: str, path: str, query: object = (), body: object = None) -> dict:
        began = time.perf_counter()
        target = f"{API}/{path}?{urlencode(query)}" if query else f"{API}/{path}"
        connection.request(
            method,
            target,
            json.dumps(body) if body else None,
            {"Content-Type": "application/json"} if body else {},
        )
        answer = json.loads(connection.getresponse().read())
        seconds.append(time.perf_counter() - began)
        return answer

    def pages(path: str, *query: tuple[str, object]) -> object:
        token = ""
        while True:
            more = [("page_token", token)] if token else []
            page = ask("GET", path, [*query, *more])
            yield page
            token = page.get("next_page_token") or ""
            if not token:
                return

    for _ in pages(
        "registered-models/search", ("order_by", "name ASC"), ("max_results", 1000)
    ):
        pass
    experiments = []
    for page in pages(
        "experiments/search", ("view_type", "ALL"), ("max_results", 1000)
    ):
        experiments += [row["experiment_id"] for row in page.get("experiments", [])]
    for page in pages(
        "model-versions/search",
        ("order_by", "name ASC"),
        ("order_by", "version_number ASC"),
        ("max_results", VERSIONS_PER_PAGE),
    ):
        runs = sorted({row["run_id"] for row in page.get("model_versions", [])})
        if runs:
            quoted = ", ".join(f"'{run}'" for run in runs)
            ask(
                "POST",
                "runs/search",
                body={
                    "experiment_ids": experiments,
                    "filter": f"attributes.run_id IN ({quoted})",
                    "run_view_type": "ALL",
                    "max_results": len(runs) + 1,
                },
            )
    connection.close()
    return seconds


if __name__ == "__main__":
    began = time.perf_counter()
    each = download(sys.argv[1])
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "requests": len(each),
                "median_ms": statistics.median(each) * 1000,
            }
        )
    )
