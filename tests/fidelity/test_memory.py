"""Peak memory against what programs reported of real runs, through the mapping of `validate`.

The sample (`data/memory_sample.csv`: torchtune's, torchtitan's, torchao's and fsdp_qlora's own
tables, MLPerf logs, each row with its source) has allocated, reserved and logged figures. Of these
rows the allocator's loss of fsdp_qlora was chosen on those of the RTX 3090; nothing else was
fitted on memory.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import fmean, median

import pytest

from llamasim.validate import read_mapping, read_rows
from llamasim.validate.predict import Predictor
from llamasim.validate.score import Scored

SAMPLE = Path(__file__).parent / "data" / "memory_sample.csv"


@pytest.fixture(scope="module")
def scores() -> dict[str, Scored]:
    file, said = read_rows(SAMPLE)
    assert file is not None, said
    predictor = Predictor(read_mapping("training"))
    return {
        s.row: s for row in file.rows for s in predictor.training(row)
        if s.metric == "peak_memory_gib"
    }


def test_what_ran_fits(scores: dict[str, Scored]) -> None:
    assert [s.row for s in scores.values() if s.status != "scored"] == []


def test_peaks_are_within_six_percent_in_the_median(scores: dict[str, Scored]) -> None:
    errors = [abs(s.error or 0.0) for s in scores.values()]
    assert len(errors) == 28
    assert median(errors) <= 0.06
    assert fmean(errors) <= 0.06
    assert max(errors) <= 0.15


def test_each_flag_of_a_recipe_saves_what_it_saved(scores: dict[str, Scored]) -> None:
    """torchtune's README: from eager execution to an 8-bit optimizer, each on top of the last."""
    rows = [scores[f"torchtune-{i:03d}"] for i in range(9, 16)]
    for before, after in pairwise(rows):
        assert before.predicted is not None and after.predicted is not None
        saved = before.predicted - after.predicted
        assert saved == pytest.approx(before.measured - after.measured, abs=4.0)
        assert saved > 0
