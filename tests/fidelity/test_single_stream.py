"""Single-stream llama.cpp rows, predicted as `llamasim validate` does (`source` column)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import median

import pytest

from llamasim import catalog
from llamasim.validate import read_mapping, read_rows
from llamasim.validate.files import Row
from llamasim.validate.holdout import held_out
from llamasim.validate.predict import Predictor
from llamasim.validate.score import Scored


@cache
def predictions() -> tuple[tuple[Row, Scored], ...]:
    """Return the rows with what is predicted of each."""
    file, said = read_rows(Path(__file__).parent / "data" / "single_stream_sample.csv")
    assert file is not None, said
    predictor = Predictor(read_mapping("inference"))
    return tuple((row, next(iter(predictor.inference(row)))) for row in file.rows)


def off(keep: Callable[[Row, Scored], bool]) -> list[float]:
    """Return the signed errors of the rows that are kept."""
    errors = [s.error for row, s in predictions() if s.error is not None and keep(row, s)]
    assert errors
    return errors


def middle(keep: Callable[[Row, Scored], bool]) -> float:
    return median(map(abs, off(keep)))


def test_every_row_ran_and_is_predicted_to_fit() -> None:
    """Llama 3 8B in 16 bits fits into 16 GB without its table of embeddings."""
    assert {s.status for _, s in predictions()} == {"scored"}


@pytest.mark.parametrize("device", ["rtx-4090", "a100-pcie-80gb", "a100-sxm-80gb"])
@pytest.mark.parametrize("dtype", ["fp16", "q4_k_m"])
def test_decode_is_within_fifteen_per_cent(device: str, dtype: str) -> None:
    """Every row: contexts to 8,192 tokens, 8B and 70B. SXM machines with 4 GPUs decode slower."""
    errors = off(
        lambda r, s: r.texts["device"] == device and r.texts["weight_dtype"] == dtype
        and s.metric == "decode_tok_s"
        and not (device.startswith("a100") and r.texts["n_devices"] != "1")
    )
    assert max(abs(e) for e in errors) < 0.15


def test_f16_decode_reaches_most_of_a_geforces_bandwidth_and_half_of_an_a100s() -> None:
    """One efficiency for all devices is wrong: bytes in flight bind the wide memory."""
    for name, low, high in (("rtx-a6000", 0.75, 0.95), ("a100-pcie-80gb", 0.42, 0.55)):
        found = next(
            s for r, s in predictions()
            if (r.texts["device"], r.texts["weight_dtype"], s.metric, r.texts["output_len"],
                r.texts["model"]) == (name, "fp16", "decode_tok_s", "512", "llama-3-8b"))
        device = catalog.get_device(name)
        assert device is not None
        assert found.predicted is not None
        assert low < found.predicted * 15.5e9 / device.memory_bandwidth < high


def test_decode_of_devices_seen_and_held_out() -> None:
    assert middle(lambda r, s: s.metric == "decode_tok_s" and not held_out(s)) < 0.05
    assert middle(lambda r, s: s.metric == "decode_tok_s" and held_out(s)) < 0.10


def test_prompts_on_one_device_of_devices_seen_and_held_out() -> None:
    def single(r: Row, s: Scored) -> bool:
        return s.metric == "prefill_tok_s" and r.texts["n_devices"] == "1"

    assert middle(lambda r, s: single(r, s) and not held_out(s)) < 0.10
    assert middle(lambda r, s: single(r, s) and held_out(s)) < 0.15


def test_prompts_over_several_devices_of_devices_seen_and_held_out() -> None:
    """The same host issues every stage's kernels: 70B over two or four devices gains a quarter
    from them, 8B over four up to three times. Nothing about it is fitted.
    """
    def several(r: Row, s: Scored) -> bool:
        return s.metric == "prefill_tok_s" and r.texts["n_devices"] != "1"

    assert middle(lambda r, s: several(r, s) and not held_out(s)) < 0.15
    assert middle(lambda r, s: several(r, s) and held_out(s)) < 0.15
