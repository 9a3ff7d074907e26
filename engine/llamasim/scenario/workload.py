"""The `workload:` section: a training step, one batch of inference, or a server."""

from __future__ import annotations

import math
from typing import Any, Literal

from llamasim.catalog.specs import Model
from llamasim.diagnostics import Diagnostic, Label, Span
from llamasim.scenario import problems
from llamasim.scenario.arrivals import read_arrivals, read_length, recorded_length
from llamasim.scenario.fields import FIELDS, children
from llamasim.scenario.nodes import Mapping, Node
from llamasim.scenario.spec import Arrivals, Length, Workload
from llamasim.scenario.values import Reading, place, read_keys, what_is

_USUAL: tuple[tuple[Literal["prompt", "output"], Length], ...] = (
    ("prompt", Length("fixed", 512)), ("output", Length("fixed", 128)),
)


def read_workload(
    reading: Reading, node: Node, at: Span, model: Model | None
) -> Workload | None:
    """Read the section; None once what is wrong has been noted."""
    if not isinstance(node, Mapping):
        ways = ("write `workload: {mode: inference, prompt: 512 tok, output: 128 tok}`",)
        reading.add(problems.wrong_kind("workload", "a mapping", what_is(node), at, ways))
        return None
    before = len(reading.found)
    values = read_keys(reading, "workload", node, children("workload"), at)
    mode = values.get("mode")
    if mode is not None:
        _check_modes(reading, mode, node)
    if mode == "training":
        workload = _training(reading, values, node, at)
    else:
        workload = _inference(reading, values, node)
    if len(reading.found) > before or mode is None:
        return None
    if model is not None:
        _check_context(reading, workload, model, node)
    _unread_columns(reading, node)
    return workload


def _check_modes(reading: Reading, mode: str, node: Mapping) -> None:
    said = node.get("mode")
    for entry in node.entries:
        field = FIELDS.get(f"workload.{entry.key.text}")
        if field is None or field.mode in (None, mode):
            continue
        also = ((said.value.span, f"the mode is {mode}"),) if said else ()
        reading.add(problems.error(
            "E0512", f"`workload.{field.key}` has no meaning in {mode}", entry.key.span,
            f"for {field.mode} only", also=also,
            help=(f"delete `{field.key}`, or set `mode: {field.mode}`",)))


def _training(reading: Reading, values: dict[str, Any], node: Mapping, at: Span) -> Workload:
    for key in ("sequence", "global_batch"):
        if node.get(key) is None:
            field = FIELDS[f"workload.{key}"]
            reading.add(problems.missing(field.path, at, field.doc, field.example))
    batch, micro = values.get("global_batch", 1), values.get("micro_batch", 1)
    if batch % micro and "global_batch" in values:
        entry, other = node.get("global_batch"), node.get("micro_batch")
        assert entry is not None and other is not None
        reading.add(problems.error(
            "E0509", f"a batch of {batch} sequences is no whole number of micro-batches of {micro}",
            entry.value.span, f"{batch} / {micro} is not whole",
            also=((other.value.span, "micro-batch"),),
            help=(f"write `global_batch: {max(1, round(batch / micro)) * micro}`",)))
    return Workload(
        mode="training", dtype=values.get("dtype", "bf16"), sequence=values.get("sequence", 1),
        global_batch=batch, micro_batch=micro, optimizer=values.get("optimizer", "adamw"),
        token_budget=values.get("token_budget"),
    )


def _inference(reading: Reading, values: dict[str, Any], node: Mapping) -> Workload:
    arrivals = read_arrivals(reading, values, node)
    # A length that is written wins over the recorded ones.
    prompt, output = (
        read_length(reading, values, node, key, recorded_length(arrivals, key) or usual)
        for key, usual in _USUAL
    )
    slo = _slo(reading, values, node)
    batch = node.get("batch")
    if arrivals is not None and batch is not None:
        reading.add(problems.error(
            "E0512", "`workload.batch` has no meaning beside `arrivals`", batch.key.span,
            "one batch", why="with arrivals, the server decides how many sequences run together",
            help=("delete `batch`, or limit it with `arrivals: {process: closed, concurrency: "
                  f"{values.get('batch', 8)}}}`",)))
    if arrivals is None:
        _check_batch(reading, node)
    else:
        _check_requests(reading, node, arrivals)
    shared = _shared(reading, values, node, arrivals)
    variants, skew = _variants(reading, values, node, arrivals)
    whole = math.ceil(prompt.mean + output.mean)
    if "sequence" not in values:
        reading.inferred["workload.sequence"] = f"{whole} tok, mean prompt + mean output"
    workload = Workload(
        mode="inference", dtype=values.get("dtype", "bf16"),
        sequence=values.get("sequence", whole), batch=values.get("batch", 1), prompt=prompt,
        output=output, arrivals=arrivals, shared_prefix=shared,
        prefixes=values.get("prefixes", 1), variants=variants, variant_skew=skew,
        longest=None if arrivals is None else values.get("sequence"),
        slo_ttft_s=slo.get("ttft"), slo_tpot_s=slo.get("tpot"),
        slo_latency_s=slo.get("latency"),
    )
    _check_room(reading, workload, node)
    return workload


#: Keys that say how requests of a server differ, with what one without the other lacks.
_OF_REQUESTS = {"shared_prefix": "", "prefixes": "shared_prefix", "variants": "",
                "variant_skew": "variants"}


def _check_batch(reading: Reading, node: Mapping) -> None:
    """Refuse what only requests that come over time have."""
    for key in _OF_REQUESTS:
        if (entry := node.get(key)) is not None:
            reading.add(problems.error(
                "E0512", f"`workload.{key}` has no meaning without `arrivals`", entry.key.span,
                "for servers only", why="the sequences of one batch are alike",
                help=("delete it, or add "
                      f"`arrivals: {FIELDS['workload.arrivals'].example}`",)))


def _check_requests(reading: Reading, node: Mapping, arrivals: Arrivals) -> None:
    """Refuse keys that mean nothing without another one, or beside one."""
    recorded = arrivals.recording
    known = {"prefixes"} if recorded is not None and recorded.blocks is not None else set()
    known |= {"variant_skew"} if recorded is not None and recorded.variant is not None else set()
    for key, other in _OF_REQUESTS.items():
        entry = node.get(key)
        if other and key not in known and entry is not None and node.get(other) is None:
            reading.add(problems.error(
                "E0512", f"`workload.{key}` has no meaning without `{other}`", entry.key.span,
                f"needs `{other}`",
                help=(f"delete it, or add `{other}: {FIELDS['workload.' + other].example}`",)))


def _unread_columns(reading: Reading, node: Mapping) -> None:
    """Warn of columns of lengths that the scenario's own lengths go before."""
    given = node.get("arrivals")
    columns = given.value.get("columns") if given and isinstance(given.value, Mapping) else None
    for key, _ in _USUAL:
        entry = node.get(key)
        if entry is None or columns is None or not isinstance(columns.value, Mapping):
            continue
        if (column := columns.value.get(key)) is not None:
            labels = (Label(column.key.span, "not read"),
                      Label(entry.key.span, "goes before it", primary=False))
            reading.add(Diagnostic(
                "W0504", f"the recorded `{key}` is not read beside `workload.{key}`", labels,
                "warning", help=(f"delete one of them (`--set workload.{key}=null`)",)))


def _shared(
    reading: Reading, values: dict[str, Any], node: Mapping, arrivals: Arrivals | None
) -> int:
    """Return the first tokens that prompts share; recorded ones say themselves which blocks."""
    recording = arrivals.recording if arrivals is not None else None
    if recording is None or recording.blocks is None:
        given: int = values.get("shared_prefix", 0)
        return given
    for key in ("shared_prefix", "prefixes"):
        if (entry := node.get(key)) is not None:
            reading.add(problems.error(
                "E0512", f"`workload.{key}` has no meaning beside recorded blocks", entry.key.span,
                "known already", why=f"`{recording.name}` says which blocks its prompts share",
                help=("delete it",)))
    return recording.block


def _variants(
    reading: Reading, values: dict[str, Any], node: Mapping, arrivals: Arrivals | None
) -> tuple[int, float]:
    """Return how many variants of the model there are, and their skew; a recording names them."""
    recording = arrivals.recording if arrivals is not None else None
    if recording is None or recording.variant is None:
        return values.get("variants", 1), values.get("variant_skew", 0.0)
    for key in ("variants", "variant_skew"):
        if (entry := node.get(key)) is not None:
            reading.add(problems.error(
                "E0512", f"`workload.{key}` has no meaning beside recorded variants",
                entry.key.span, "known already",
                why=f"`{recording.name}` says which variant each request asks for",
                help=("delete it",)))
    return max(1, int(recording.variant.max()) + 1), 0.0


def _slo(reading: Reading, values: dict[str, Any], node: Mapping) -> dict[str, float]:
    entry = node.get("slo")
    if "slo" not in values or entry is None:
        return {}
    at = place(entry.value, entry.key)
    if not isinstance(entry.value, Mapping):
        ways = (f"write `slo: {FIELDS['workload.slo'].example}`",)
        reading.add(
            problems.wrong_kind("workload.slo", "a mapping", what_is(entry.value), at, ways)
        )
        return {}
    return read_keys(reading, "workload.slo", entry.value, children("workload.slo"), at)


def _check_context(reading: Reading, workload: Workload, model: Model, node: Mapping) -> None:
    """Compare the tokens of a sequence with what the model was made for."""
    keys: tuple[str, ...] = ("sequence",)
    tokens = workload.sequence
    if workload.mode == "inference":
        keys = ("sequence", "prompt", "output")
        tokens = math.ceil(max(tokens, workload.prompt.mean + workload.output.mean))
    if tokens <= model.context:
        return
    entry = next((e for k in keys if (e := node.get(k)) is not None), None)
    span = place(entry.value, entry.key) if entry else node.span
    learned = model.positions == "learned"
    reading.add(Diagnostic(
        "E0509" if learned else "W0501",
        f"{tokens:,} tokens are more than the {model.context:,} that {model.name} was made for",
        (Label(span, f"{' + '.join(keys[1:]) or 'sequence'}: {tokens:,} tokens"),),
        "error" if learned else "warning",
        "its positions are learned, so there are none beyond that" if learned else
        "time and memory are computed all the same; what it would write is another matter",
        (f"shorten it to {model.context:,} tokens", "or take a model with a longer context"),
    ))


def _check_room(reading: Reading, workload: Workload, node: Mapping) -> None:
    """The context that memory is kept for must hold what is asked."""
    needed = math.ceil(workload.prompt.mean + workload.output.mean)
    entry = node.get("sequence")
    if entry is not None and workload.sequence < needed:
        reading.add(problems.error(
            "E0509", f"{workload.sequence:,} tokens are too few for prompt and output",
            entry.value.span, f"{needed:,} are needed",
            help=(f"write `sequence: {needed} tok`, or leave it out",)))
