"""How fast a training step is simulated: whole processes, from the command line to written tables.

    python benchmarks/training.py           # the shipped cluster, and 32 stages x 512 micro-batches
    python benchmarks/training.py --repeat 5

The first is the step of scenarios/cluster.yaml, Llama 3.1 405B on 16,384 H100s. The second is the
same model on 2,048, in 32 stages of four chunks through which 512 micro-batches pass. Prints
seconds from start to end, those of the processor (less than the former where others share the
machine), and the largest memory; of several runs the fastest.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEEP = """\
edition: 2026
model: llama-3.1-405b
cluster:
  {device: h100-sxm, nodes: 256, devices_per_node: 8, inner: nvlink4, outer: roce-400}
runtime: megatron-core
workload:
  {mode: training, dtype: bf16, sequence: 8192 tok, global_batch: 4096, micro_batch: 1}
mesh: {order: [dp, pp, tp]}
use:
  parallelism.tensor.tensor_parallel: {degree: 8, sequence_parallel: true}
  parallelism.pipeline.pipeline_parallel:
    {stages: 32, chunks: 4, first_stage_relief: 1, last_stage_relief: 1}
  parallelism.zero.zero1: {}
  precision.mixed.bf16_mixed: {}
  attention.flash.flash_attention: {}
  memory.checkpoint.full_checkpoint: {}
"""
#: A process of its own, which says what it took once it is done.
PROGRAM = """\
import atexit, os, resource, sys
from llamasim.cli import main
def say():
    used, times = resource.getrusage(resource.RUSAGE_SELF), os.times()
    print(times.user + times.system, used.ru_maxrss, file=sys.stderr)
atexit.register(say)
main()
"""


def timed(name: str, scenario: str, folder: Path, repeat: int) -> None:
    """Run one scenario in processes of its own and print what the fastest took."""
    found: list[tuple[float, float, float]] = []
    for _ in range(repeat):
        begin = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "run", scenario, "--out", str(folder)],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        seconds = time.perf_counter() - begin
        processor, memory = done.stderr.split()[-2:]
        found.append((seconds, float(processor), float(memory) / 1024))
    best = min(found)
    print(f"{name:<42} {best[0]:6.2f} s, {min(f[1] for f in found):6.2f} s of the processor, "
          f"{max(f[2] for f in found):5.0f} MB", flush=True)


def main() -> None:
    """Time both scenarios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=3, help="runs of each (3)")
    repeat = parser.parse_args().repeat
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "deep.yaml"
        path.write_text(DEEP)
        timed("405B on 16,384 GPUs, PP 16 x 8 chunks", "cluster", folder / "results", repeat)
        timed("405B, PP 32 x 4 chunks x 512 micro-batches", str(path), folder / "results", repeat)


if __name__ == "__main__":
    main()
