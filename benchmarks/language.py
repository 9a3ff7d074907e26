"""How long the rules language takes: parsing, checking, and applying techniques to a large model.

    python -m benchmarks.language

Times are of this machine; medians of several runs, after one that is not counted. `cold` is a new
process each time, with the start of Python in it; `cached` uses the files that an earlier run kept.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from llamasim.assets import rules_dir, scenarios_dir
from llamasim.diagnostics import Source
from llamasim.language import Program, check, load, parse
from llamasim.language.missing import library
from llamasim.model import resolve
from llamasim.plan.compile import build, program_of
from llamasim.scenario import Scenario, read
from llamasim.techniques import apply

#: Twelve techniques of one pre-training run; the first five are those of the shipped scenario.
USE = """\
edition: 2026
model: llama-3.1-405b
cluster:
  device: h100-sxm
  nodes: 2048
  devices_per_node: 8
  outer: roce-400
runtime: torchtitan
workload: {mode: training, sequence: 8192 tok, global_batch: 2048, micro_batch: 1}
use:
  parallelism.tensor.tensor_parallel: {degree: 8, sequence_parallel: true}
  parallelism.pipeline.pipeline_parallel:
    {stages: 16, chunks: 8, first_stage_relief: 1, last_stage_relief: 1}
  parallelism.zero.zero2: {reduce_every: 0}
  precision.mixed.bf16_mixed: {}
  attention.flash.flash_attention: {}
  precision.fp8.fp8_compute: {}
  memory.checkpoint.selective_checkpoint: {every: 2}
  memory.chunked_loss.chunked_loss: {}
  kernels.fused.fused_norm: {}
  kernels.graphs.captured_graphs: {}
  attention.window.windowed_attention: {window: 4096 tok, every: 2}
  offload.activations.activation_offload: {}
"""


@attrs.frozen
class Row:
    """One line of the table: what is timed, its target, and the times in milliseconds."""

    name: str
    times: tuple[float, ...]
    target: float | None = None

    def text(self) -> str:
        """Return the line."""
        ordered = sorted(self.times)
        late = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        target = "" if self.target is None else f"{self.target:,.0f}"
        return (f"| {self.name} | {statistics.median(ordered):,.1f} | {late:,.1f} "
                f"| {len(ordered)} | {target} |")


def timed(name: str, run: Callable[[], object], count: int, target: float | None = None) -> Row:
    """Time something that runs in this process."""
    run()
    times = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return Row(name, tuple(times), target)


def scenario_of(text: str) -> Scenario:
    """Read a scenario that is right."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "benchmark.yaml"
        path.write_text(text, encoding="utf-8")
        found, said = read(path)
    assert found is not None, [d.message for d in said]
    return found


def in_process(count: int) -> Iterator[Row]:
    """Time what a library user sees."""
    names = list(library([rules_dir()]))
    texts = [p.read_text(encoding="utf-8") for p in library([rules_dir()]).values()]
    lines = sum(t.count("\n") for t in texts)
    whole, _ = load(names, [rules_dir()])
    yield timed(f"parse the library ({len(texts)} files, {lines:,} lines)",
                lambda: [parse(Source("x.rules", t)) for t in texts], max(3, count // 10))
    yield timed("load the library, kept from an earlier run",
                lambda: load(names, [rules_dir()]), count)
    yield timed("check the loaded library", lambda: check(whole), count)
    path = scenarios_dir() / "cluster.yaml"
    yield timed("read the cluster scenario", lambda: read(path), count)
    scenario = scenario_of(USE)
    program, said = program_of(scenario)
    assert not said, [d.message for d in said]
    yield from _applied(scenario, program, count)


def _applied(scenario: Scenario, program: Program, count: int) -> Iterator[Row]:
    graph = resolve(scenario.model)
    applied, said = apply(graph, program, scenario)
    assert applied is not None, [d.message for d in said]
    what = f"{len(scenario.use)} techniques to {scenario.model.name}"
    yield timed(f"apply {what}", lambda: apply(graph, program, scenario), count, 100)
    yield timed("apply them and make the plan", lambda: build(graph, program, scenario), count)


def processes(count: int) -> Iterator[Row]:
    """Time `llamasim check` of the whole library as a command."""
    command = [sys.executable, "-m", "llamasim", "check"]
    with tempfile.TemporaryDirectory() as folder:
        kept = {**os.environ, "XDG_CACHE_HOME": folder}
        bare = {**os.environ, "XDG_CACHE_HOME": folder, "LLAMASIM_NO_CACHE": "1"}

        def run(environment: dict[str, str]) -> None:
            subprocess.run(command, env=environment, check=True, capture_output=True)

        yield timed("`llamasim check`, cached", lambda: run(kept), count)
        yield timed("`llamasim check`, cold", lambda: run(bare), count)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=30, help="runs of each line")
    count = parser.parse_args().count
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors")
    print("\n| what | median ms | p95 ms | runs | target ms |\n|---|---|---|---|---|")
    for row in in_process(count):
        print(row.text(), flush=True)
    for row in processes(max(3, count // 6)):
        print(row.text(), flush=True)


if __name__ == "__main__":
    main()
