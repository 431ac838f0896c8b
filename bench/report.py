"""From the JSON of a run to tables and a plot: `python -m bench.report FILE.json` writes FILE.md and FILE.png."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.classes import cases_of, class_table, geometric_mean, peer_table, ratios, second_thread
from bench.document import read_document
from bench.goals import GOALS

Rows = list[dict[str, Any]]


def markdown(document: dict[str, Any]) -> str:
    """One section a run: the classes, the peers, then a line for each side of each case."""
    return "\n".join([*heading(document), *(line for run in document["runs"] for line in section(run))])


def heading(document: dict[str, Any]) -> Iterator[str]:
    machine = document["machine"]
    yield f"Processor: {machine['processor']}, {machine['processors']} cores ({machine['system']}).  "
    yield f"pyconvx {machine['pyconvx']} at commit {machine['commit']}, compiled by {machine['compiler']}.  "
    yield f"{machine['date']}, load {machine['load']} at the start{', quick set' if document['quick'] else ''}.  "
    yield f"All runs took {document['minutes']:.0f} minutes."


def section(run: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"## {run['isa']}, {run['threads']} thread{'s' if run['threads'] > 1 else ''}", "")
    if run.get("clock") == "processor time":
        yield "Seconds of processor time, not of the clock: a first look on a machine that others use.  "
    if run["peak_gflops"]:
        yield f"Measured peak {run['peak_gflops']:.0f} GFLOP/s ({run['peak_source']}), and anew around each problem.  "
    yield "Peers: " + (", ".join(f"{name} {version}" for name, version in run["peers"].items()) or "none") + ".  "
    if run["skipped"]:
        yield "Without: " + ", ".join(f"{name} ({reason})" for name, reason in run["skipped"].items()) + "."
    rows = run["rows"]
    yield from ("", "### Classes", "", *class_table(rows), "", *second_thread(rows), "")
    yield from ("### How many times faster than each peer, weights packed beforehand", "", *peer_table(rows), "")
    for benchmark in dict.fromkeys(row["benchmark"] for row in rows):
        yield from (f"### {benchmark}", "", *details([row for row in rows if row["benchmark"] == benchmark]), "")


def details(rows: Rows) -> Iterator[str]:
    noted = any(row["note"] for row in rows)
    yield "| problem | side | median | spread | rate | of peak | error | faster than the best peer |" + " |" * noted
    yield "|---|---|--:|--:|--:|--:|--:|--:|" + "---|" * noted
    for row in rows:
        yield "| " + " | ".join([*cells(row), *[row["note"]] * noted]) + " |"


def cells(row: dict[str, Any]) -> Iterator[str]:
    yield f"{row['problem']}, {row['direction']}" if row["direction"] else row["problem"]
    yield f"**{row['side']}**" if row["ours"] else row["side"]
    if row["median_s"] is None:
        yield from ("-", "-", "-", "-", "-", "not counted")
        return
    yield f"{row['median_s'] * 1e3:.4g} ms"
    yield f"{row['spread']:.0%}"
    yield f"{row['rate']:.3g} {row['unit']}"
    yield f"{row['share']:.0%}" if row["share"] is not None else ""
    yield f"{row['error']:.1e}"
    yield (f"{row['ratio']:.2f}" if row["ratio"] else "") if row["counted"] else f"not counted: above {row['gate']:.1e}"


def plot(document: dict[str, Any], path: Path) -> None:
    """pyconvx against the best accurate peer, one panel a run: a point for each problem, a row for each class."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        sys.exit("the plot needs matplotlib: pip install pyconvx[bench]")
    runs = document["runs"]
    panels = [
        {goal.name: list(found.values()) for goal in GOALS if (found := ratios(cases_of(goal, run["rows"])))}
        for run in runs
    ]
    height = 1.2 + 0.25 * max(map(len, panels), default=1)
    figure = Figure(figsize=(8, height * len(runs)), layout="constrained")
    for axes, run, groups in zip(figure.subplots(len(runs), squeeze=False)[:, 0], runs, panels, strict=True):
        for place, values in enumerate(groups.values()):
            axes.scatter(values, [place] * len(values), s=18, alpha=0.6, color="tab:blue")
            axes.scatter(geometric_mean(values), place, s=90, marker="|", color="black")
        axes.axvline(1, color="tab:red", linewidth=1)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
        axes.set_yticks(range(len(groups)), list(groups), fontsize=7)
        axes.invert_yaxis()
        axes.set_title(f"{run['isa']}, {run['threads']} thread(s): speed over the best accurate peer (bar: mean)")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args().file
    document = read_document(file)
    file.with_suffix(".md").write_text(markdown(document) + "\n")
    plot(document, file.with_suffix(".png"))


if __name__ == "__main__":
    main()
