"""Requests that a scenario takes from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenario.scenario_texts import INFERENCE, codes, read_text, read_well

PLAIN = "sent,in,out\n3.5,20,7\n1.5,10,5\n2.0,0,9\n"


def replay(more: str) -> str:
    return INFERENCE.replace(
        "prompt: 512 tok, output: 128 tok", f"arrivals: {{process: replay, {more}}}"
    )


NAMED = "file: r.csv, columns: {arrived: sent, prompt: in, output: out}"


def test_requests_come_in_order_of_their_times(tmp_path: Path) -> None:
    """Times count from the first request; a prompt has at least one token."""
    (tmp_path / "r.csv").write_text(PLAIN)
    given = read_well(tmp_path, replay(NAMED)).workload
    assert given.arrivals is not None
    recording = given.arrivals.recording
    assert recording is not None
    assert recording.arrived.tolist() == pytest.approx([0.0, 0.5, 2.0])
    assert given.prompt.known.tolist() == [10, 1, 20]
    assert given.output.known.tolist() == [5, 9, 7]
    assert given.arrivals.requests == 3
    assert given.prompt.mean == pytest.approx(31 / 3)


def test_a_length_that_is_written_wins(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(PLAIN)
    text = replay(NAMED).replace("{mode: inference,", "{mode: inference, output: 99 tok,")
    scenario, said = read_text(tmp_path, text)
    assert scenario is not None
    assert [d.code for d in said] == ["W0504"]
    given = scenario.workload
    assert (given.output.distribution, given.output.mean) == ("fixed", 99)
    assert given.prompt.distribution == "recorded"


def test_times_in_other_units_and_dates(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("arrived\n1500\n2500\n")
    given = read_well(tmp_path, replay("file: r.csv, time_unit: ms, requests: 2")).workload
    assert given.arrivals is not None
    assert given.arrivals.recording.arrived.tolist() == pytest.approx([0.0, 1.0])
    (tmp_path / "r.csv").write_text("arrived\n2025-01-01 00:00:01\n2025-01-01 00:00:02.25\n")
    given = read_well(tmp_path, replay("file: r.csv")).workload
    assert given.arrivals is not None
    assert given.arrivals.recording.arrived.tolist() == pytest.approx([0.0, 1.25])


def test_another_file_is_another_plan(tmp_path: Path) -> None:
    """The digest tells files apart; their content is not compared number by number."""
    digests = []
    for text in (PLAIN, PLAIN.replace("20", "21")):
        (tmp_path / "r.csv").write_text(text)
        digests.append(read_well(tmp_path, replay(NAMED)).workload.arrivals.digest)
    assert digests[0] != digests[1]


@pytest.mark.parametrize("content", [
    "", "sent,in,out\n", "sent,in\n1,2\n", "sent,in,out\n1,2\n", "sent,in,out\nx,2,3\n",
    "sent,in,out\n1,-2,3\n", "sent,in,out\n1,2.5,3\n", "sent,in,out\nnan,2,3\n",
])
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.csv").write_text(content)
    assert codes(tmp_path, replay(NAMED)) == ["E0522"]


def test_bytes_that_are_no_text_and_no_archive(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "r.csv.gz").write_bytes(b"\x1f\x8b\x08\x00rubbish")
    (tmp_path / "r.csv.xz").write_bytes(b"\xfd7zXZ\x00rubbish")
    assert codes(tmp_path, replay(NAMED)) == ["E0522"]
    for end in (".gz", ".xz"):
        found = codes(tmp_path, replay(NAMED.replace("r.csv", f"r.csv{end}")))
        assert found in (["E0522"], ["E0515"])


def test_a_column_that_is_nearly_named_so_is_proposed(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(PLAIN)
    _, found = read_text(tmp_path, replay(NAMED.replace("sent", "snt")))
    assert "did you mean `sent`?" in found[0].help[0]


def test_more_than_there_are(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(PLAIN)
    assert codes(tmp_path, replay(NAMED + ", requests: 4")) == ["E0509"]
