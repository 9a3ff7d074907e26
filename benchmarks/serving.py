"""How fast a server's day is simulated: whole processes, from the command line to written tables.

    python benchmarks/serving.py            # 10,000 and 100,000 requests on one replica
    python benchmarks/serving.py --million  # and 1,000,000 on a hundred

Llama 3.1 8B on H100s under vLLM, 1,024 tokens in and 128 out, Poisson arrivals at 10 requests/s a
replica, at most 256 sequences. Prints seconds from start to end, those of processors, and the
largest memory. Modules are compiled once, before the first run that counts, as by an installation.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCENARIO = """\
edition: 2026
model: llama-3.1-8b
cluster: {{device: h100-sxm, nodes: {nodes}, devices_per_node: {devices}, outer: ib-ndr400}}
runtime: vllm
workload:
  mode: inference
  prompt: 1024 tok
  output: 128 tok
  arrivals: {{process: poisson, rate: {rate} req/s, requests: {requests}}}
use:
  attention.flash.flash_attention: {{}}
  serving.batching.continuous_batching: {{max_sequences: 256}}
"""


def timed(folder: Path, requests: int, nodes: int, devices: int) -> None:
    """Run one scenario in a process of its own and print what it took."""
    path = folder / f"{requests}.yaml"
    rate = 10 * nodes * devices
    path.write_text(SCENARIO.format(nodes=nodes, devices=devices, rate=rate, requests=requests))
    program = "from llamasim.cli import main; main()"
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", program, "run", str(path), "--out", str(folder / "results")],
        check=True, stdout=subprocess.DEVNULL,
        env=kept | {"PYTHONPYCACHEPREFIX": str(folder / "modules")},
    )
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    work = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # Memory is that of the largest process so far; they grow from one to the next.
    print(f"{requests:>9,} requests, {nodes * devices:>3} replicas: {seconds:6.2f} s "
          f"({work:.2f} s of processors), {after.ru_maxrss / 1024:5.0f} MB", flush=True)


def main() -> None:
    """Time the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--million", action="store_true", help="1,000,000 requests, too")
    million = parser.parse_args().million
    with tempfile.TemporaryDirectory() as folder:
        timed(Path(folder), 10, 1, 1)
        timed(Path(folder), 100, 1, 1)
        timed(Path(folder), 10_000, 1, 1)
        timed(Path(folder), 100_000, 1, 1)
        if million:
            timed(Path(folder), 1_000_000, 25, 4)


if __name__ == "__main__":
    main()
