"""A technique in use that this kind of job does not read gets a warning, and only such a one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from llamasim.diagnostics import Diagnostic
from llamasim.plan import compile_plan, idle
from llamasim.plan.idle import READERS, readers
from llamasim.plan.spec import BlockPlan, RankClass, Schedule
from llamasim.scenario import Scenario, read
from llamasim.simulate import run
from llamasim.tables import tabulate

OWN = """\
edition 2026
module own
technique forget { on activation of layers.* { drop } }
technique grads { on grad { set numerics.bits = 8 bit } }
technique often { on step { set schedule.micro_batch = 2 } }
technique cache { on kv_cache { set numerics.bits = 8 bit } }
technique back { on op during backward { scale cost.flops by 2 } }
"""
HEAD = "edition: 2026\nmodel: llama-3.2-1b\n"
ONE = HEAD + "cluster: {device: h100-sxm}\n"
TWO = HEAD + "cluster: {device: h100-sxm, devices_per_node: 2}\n"
BATCH = "runtime: vllm\nworkload: {mode: inference, batch: 4, output: 8 tok}\n"
SERVER = ("runtime: vllm\nworkload: {mode: inference, output: 8 tok, "
          "arrivals: {process: batch, requests: 9}}\n")
TRAINING = "runtime: torchtitan\nworkload: {mode: training, sequence: 512 tok, global_batch: 8}\n"
STAGED = "parallelism.pipeline.pipeline_parallel: {stages: 2}"

#: A job, a technique, and what the warning says of it; nothing where there is none.
CASES = (
    (ONE + BATCH, "own.forget: {}", "nothing in inference reads"),
    (ONE + BATCH, "own.grads: {}", "nothing in inference reads"),
    (ONE + BATCH, "own.often: {}", "only training would read: `schedule.micro_batch`"),
    (ONE + BATCH, "own.back: {}", "nothing in inference reads"),
    (ONE + BATCH, "own.cache: {}", ""),
    (ONE + BATCH, "serving.batching.continuous_batching: {max_sequences: 9}", "a server"),
    (ONE + BATCH, "serving.batching.continuous_batching: {token_budget: 99 tok}", ""),
    (ONE + BATCH, "serving.cache.contiguous_cache: {}", "a server"),
    (ONE + SERVER, "serving.batching.continuous_batching: {max_sequences: 9}", ""),
    (ONE + SERVER, "serving.batching.continuous_batching: {}", ""),
    (ONE + SERVER, "serving.replicas.least_busy_router: {}", "several replicas"),
    (ONE + SERVER, "serving.replicas.replica_scaling: {}", "several replicas"),
    (TWO + SERVER, "serving.replicas.least_busy_router: {}", ""),
    (TWO + SERVER, "serving.replicas.replica_scaling: {}", ""),
    (ONE + TRAINING, "own.cache: {}", "nothing in training reads"),
    (ONE + TRAINING, "own.forget: {}", ""),
    (ONE + TRAINING, "own.grads: {}", ""),
    (ONE + TRAINING, "own.often: {}", ""),
    (ONE + TRAINING, "own.back: {}", ""),
    (ONE + TRAINING, "memory.checkpoint.full_checkpoint: {}", ""),
)


def _read(folder: Path, text: str) -> Scenario:
    (folder / "own.rules").write_text(OWN)
    (folder / "case.yaml").write_text(text)
    scenario, said = read(folder / "case.yaml")
    assert scenario is not None, said
    return scenario


def _said(folder: Path, text: str) -> list[Diagnostic]:
    scenario = _read(folder, text)
    plan, said = compile_plan(scenario)
    assert plan is not None, said
    return [*said, *idle(scenario, plan)]


@pytest.mark.parametrize(("job", "technique", "words"), CASES)
def test_a_technique_that_nothing_reads_is_named(
    job: str, technique: str, words: str, tmp_path: Path
) -> None:
    said = _said(tmp_path, f"{job}use: {{{technique}}}\n")
    if not words:
        assert not said
        return
    [warning] = [d for d in said if d.code == "W0407"]
    assert technique.partition(":")[0] in warning.message
    assert words in (warning.why or "")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Return which parts of plans are read, as they are."""
    found: set[tuple[str, str]] = set()
    for kind in (BlockPlan, RankClass, Schedule):
        monkeypatch.setattr(kind, "__getattribute__", _noting(kind, found))
    return found


def _noting(
    kind: type[attrs.AttrsInstance], found: set[tuple[str, str]]
) -> Callable[[object, str], object]:
    usual, names = kind.__getattribute__, {a.name for a in attrs.fields(kind)}

    def noted(self: object, name: str) -> object:
        if name in names:
            found.add((kind.__name__, name))
        return usual(self, name)

    return noted


@pytest.mark.parametrize("job", [
    ONE + BATCH, ONE + SERVER, TWO + SERVER, ONE + TRAINING, TWO + TRAINING + f"use: {{{STAGED}}}",
    TWO + SERVER + "use: {serving.pools.disaggregated_pools: {}}",
    TWO + SERVER + "use: {serving.replicas.replica_scaling: {}}",
])
def test_a_job_reads_nothing_that_is_said_to_be_for_others(
    job: str, tmp_path: Path, reads: set[tuple[str, str]]
) -> None:
    """What is read there and cannot matter, because there is one of something, is let pass."""
    scenario = _read(tmp_path, job)
    plan, said = compile_plan(scenario)
    assert plan is not None, said
    here = readers(plan, scenario)
    reads.clear()
    tabulate(run(plan, scenario))
    others = {
        (kind, name): who for kind, named in READERS.items() for name, who in named.items()
        if who not in here and (kind, name) in reads
    }
    assert set(others.values()) <= {"several replicas", "several pipeline stages"}
