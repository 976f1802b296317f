"""The parts of the bench: what each measures, against whom, and how good it has to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench.measuring import Bench, Figures, Place, note
from bench.registry import Layout, Registry
from bench.server import served
from bench.targets import Target, Unit

# By how many workers the server has: our share of the crawl's time.
FIRST_SHARE = {1: 1 / 5, 2: 1 / 15}
UNCHANGED_SHARE = {1: 1 / 20, 2: 1 / 60}
# The layout of MLflow 3 is the harder one: that of MLflow 2 costs a crawl more requests.
ARTIFACTS_SHARE = {(Layout.LOGGED_MODELS, 2): 1 / 15}

Part = Callable[[Bench, Sequence[int]], Iterator[Target]]


def first(bench: Bench, workers: Sequence[int]) -> Iterator[Target]:
    """The first sync without artifacts."""
    for count in workers:
        with _serving(bench, _registry(bench.sizes.models), count) as place:
            of = f"First sync of {place.registry.versions:,}, {place.told}"
            bare = Target(f"{of}: of the bare download", 1.6)
            judged = Target(f"{of}: the same, until badges show", 3.5)
            share = Target(f"{of}: of the crawl", FIRST_SHARE[count], Unit.ONE_IN)
            requests = Target(f"{of}: requests", 30, Unit.COUNT)
            crawl = _crawl_of_runs(bench, place)
            for _ in range(bench.sizes.repetitions):
                organization, ours = bench.first_sync(place)
                if not bare.found:
                    bench.check_equal(organization, crawl)
                download = bench.replay(organization, place)
                bare.add(ours["seconds"] / download["seconds"])
                judged.add(ours["judged_seconds"] / download["seconds"])
                share.add(ours["seconds"] / crawl["seconds"])
                requests.add(ours["requests"])
                note(
                    f"{of}: {_told(ours)}, judged {ours['judged_seconds']:.1f} s; "
                    f"bare download {download['seconds']:.1f} s"
                )
        yield from (bare, judged, share, requests)


def unchanged(bench: Bench, workers: Sequence[int]) -> Iterator[Target]:
    """A sync that finds nothing changed, after a first one that is not timed."""
    for count in workers:
        with _serving(bench, _registry(bench.sizes.models), count) as place:
            of = f"No change in {place.registry.versions:,}, {place.told}"
            bare = Target(f"{of}: of the bare download", 1.6)
            share = Target(f"{of}: of the crawl", UNCHANGED_SHARE[count], Unit.ONE_IN)
            requests = Target(f"{of}: requests for the registry", 4, Unit.COUNT)
            writes = Target(f"{of}: rows written", 0, Unit.COUNT)
            crawl = _crawl_of_runs(bench, place)
            organization, _ = bench.first_sync(place)
            bench.check_equal(organization, crawl)
            for _ in range(bench.sizes.repetitions):
                ours = bench.sync_again(organization, place)
                download = bench.replay(organization, place)
                bare.add(ours["seconds"] / download["seconds"])
                share.add(ours["seconds"] / crawl["seconds"])
                requests.add(ours["registry_requests"])
                writes.add(sum(ours["unexpected_writes"].values()))
                written = ours["unexpected_writes"] or "nothing"
                note(
                    f"{of}: {_told(ours)}; wrote {written} apart from run and trail; "
                    f"bare download {download['seconds']:.1f} s, "
                    f"1/{crawl['seconds'] / download['seconds']:.3g} of the crawl"
                )
            bench.check_equal(organization, crawl)
        yield from (bare, share, requests, writes)


def artifacts(bench: Bench, workers: Sequence[int]) -> Iterator[Target]:
    """The first sync with listings and environment files, in both layouts."""
    for layout in Layout:
        registry = _registry(bench.sizes.models_with_files, layout, has_files=True)
        for count in workers:
            with _serving(bench, registry, count) as place:
                yield from _artifacts_of(bench, place)


def _artifacts_of(bench: Bench, place: Place) -> Iterator[Target]:
    layout = place.registry.layout
    of = f"{place.registry.versions:,} with files, {layout}, {place.told}"
    most = ARTIFACTS_SHARE.get((layout, place.workers))
    bare = Target(f"{of}: of the bare concurrent client", 1.4)
    share = Target(f"{of}: of the crawl", most or 0, Unit.ONE_IN)
    sample = bench.sizes.file_sample if most else bench.sizes.file_check
    crawl = bench.crawl(place, sample=sample, artifacts=True)
    for _ in range(bench.sizes.repetitions):
        organization, ours = bench.first_sync(place, artifacts=True)
        if not bare.found:
            bench.check_equal(organization, crawl)
        connections = ours["connections"]
        client = bench.replay(organization, place, connections=connections)
        bare.add(ours["seconds"] / client["seconds"])
        share.add(ours["seconds"] / crawl["seconds"])
        note(
            f"{of}: {_told(ours)}, {_shares(ours, crawl)}; bare concurrent client "
            f"{client['seconds']:.1f} s over {connections} connections"
        )
    yield bare
    if most:
        yield share


def growth(bench: Bench, workers: Sequence[int]) -> Iterator[Target]:
    """Ten times the registry: memory, and time per version, on one worker."""
    few, many = _registry(bench.sizes.models), _registry(bench.sizes.many_models)
    of = f"First sync of {many.versions:,} after {few.versions:,}"
    peak = Target(f"{of}: peak memory", 1.1)
    each = Target(f"{of}: time per version", 1.2)
    with (
        _serving(bench, few, 1) as few_place,
        _serving(bench, many, 1) as many_place,
    ):
        for _ in range(bench.sizes.repetitions):
            _, small = bench.first_sync(few_place)
            _, large = bench.first_sync(many_place)
            peak.add(large["peak_mb"] / small["peak_mb"])
            each.add(
                (large["seconds"] / many.versions) / (small["seconds"] / few.versions)
            )
            note(f"{of}: {_told(small)}, then {_told(large)}")
    yield from (peak, each)


def judging(bench: Bench, _: Sequence[int]) -> Iterator[Target]:
    """All versions under all packs, judged for the first time and then unchanged."""
    few, many = bench.sizes.versions, bench.sizes.many_versions
    of = {
        "first": f"First evaluation of {many:,}",
        "again": f"Unchanged evaluation of {many:,}",
    }
    bare = {name: Target(f"{told}: of the bare rules", 4) for name, told in of.items()}
    each = {
        name: Target(f"{told}: time per version, of {few:,}", 1.15)
        for name, told in of.items()
    }
    queries = {
        name: Target(f"{told}: queries per 500 versions", 5, Unit.COUNT)
        for name, told in of.items()
    }
    writes = Target(f"{of['again']}: rows written", 0, Unit.COUNT)
    for _ in range(bench.sizes.repetitions):
        # Half before and half after, so that a machine growing slower does not count.
        before, large, after = map(bench.judge, (few, many, few))
        for name, told in of.items():
            ours = large[name]
            small = (before[name]["seconds"] + after[name]["seconds"]) / 2
            bare[name].add(ours["seconds"] / ours["rules_seconds"])
            each[name].add((ours["seconds"] / many) / (small / few))
            queries[name].add(ours["statements"] / many * 500)
            note(
                f"{told}: {ours['seconds']:.1f} s, {ours['statements']:,} queries, "
                f"{ours['opened']:,} gaps opened; bare rules "
                f"{ours['rules_seconds']:.1f} s; {few:,} in {small:.2f} s"
            )
        writes.add(large["again"]["written"])
    yield from (*bare.values(), *each.values(), *queries.values(), writes)


def framework(bench: Bench, _: Sequence[int]) -> Iterator[Target]:
    """The page of a framework, which also has to show a change of a moment ago."""
    few, many = bench.sizes.versions, bench.sizes.many_versions
    name = f"Framework page over {many:,} versions"
    longer = Target(f"{name}: time, of {few:,}", 2)
    queries = Target(f"{name}: queries", 15, Unit.COUNT)
    for _ in range(bench.sizes.repetitions):
        small, large = map(bench.open_framework, (few, many))
        longer.add(large["seconds"] / small["seconds"])
        queries.add(large["queries"])
        note(
            f"{name}: {large['seconds'] * 1000:.0f} ms, {large['queries']} queries; "
            f"over {few:,}: {small['seconds'] * 1000:.0f} ms"
        )
    yield from (longer, queries)


PARTS: dict[str, Part] = {
    "first": first,
    "nochange": unchanged,
    "artifacts": artifacts,
    "growth": growth,
    "judging": judging,
    "framework": framework,
}


def _registry(
    models: int, layout: Layout = Layout.LOGGED_MODELS, *, has_files: bool = False
) -> Registry:
    return Registry(layout=layout, models=models, has_files=has_files)


def _crawl_of_runs(bench: Bench, place: Place) -> Figures:
    """Crawl without artifacts: all on one worker, a sample where answers stall."""
    sample = None if place.workers == 1 else bench.sizes.run_sample
    return bench.crawl(place, sample=sample)


@contextmanager
def _serving(bench: Bench, registry: Registry, workers: int) -> Iterator[Place]:
    folder = registry.make(bench.registries)
    with served(folder, workers=workers) as url:
        yield Place(registry=registry, workers=workers, url=url)


def _told(ours: Figures) -> str:
    return (
        f"{ours['seconds']:.1f} s, {ours['requests']:,} requests, "
        f"{ours['peak_mb']:.0f} MB"
    )


def _shares(ours: Figures, crawl: Figures) -> str:
    """Tell our share of a crawl with artifacts, also of one that downloads nothing."""
    whole, listing = (
        Unit.ONE_IN.write(ours["seconds"] / seconds)
        for seconds in (crawl["seconds"], crawl["seconds"] - crawl["downloading"])
    )
    return f"{whole} of the crawl, {listing} of it without downloads"
