"""Each serving technique has a shipped case in which it helps and one in which it does not."""

from __future__ import annotations

import re

import pytest
from tests.cli.command_line import call
from tests.docs.serving_pairs import APART, PAGE, PAIRS, SWEEPS, Sweep, both, summary, tables

from llamasim.cli.support import shipped

#: Figures move when a fit improves; the page is written anew when they move by more than this.
TOLERANCE = 0.05
_NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")
ADDS = {case: pair.added(case) for pair in PAIRS for case in pair.cases}
SWEPT = {s.name: s for s in SWEEPS}


def ratio(case: str, figure: str) -> float:
    """Return a figure with the technique over that without."""
    return summary(case, ADDS[case])[figure] / summary(case, ())[figure]


@pytest.mark.parametrize(("case", "figure", "least", "most"), [
    # Leviathan et al., table 2: 2 to 3.4 times as fast for one user (T5-XXL and a small draft).
    ("speculative-helps", "output_tok_s", 1.8, 3.4),
    ("speculative-helps", "tpot_ms_mean", 0.3, 0.6),
    # vLLM, 2024-10-17: 1.4 to 1.8 times slower where many requests keep the device busy.
    ("speculative-hurts", "output_tok_s", 0.5, 0.9),
    ("speculative-hurts", "tpot_ms_mean", 1.1, 2.0),
    # SGLang, figure 5: first tokens several times sooner, throughput up where there are hits.
    ("prefix-cache-helps", "ttft_ms_mean", 0.05, 0.5),
    ("prefix-cache-helps", "output_tok_s", 1.05, 6.4),
    ("prefix-router-helps", "ttft_ms_mean", 0.3, 0.8),
    ("prefix-router-hurts", "ttft_ms_p99", 1.1, 2.0),
    ("prefix-router-hurts", "tpot_ms_p99", 1.1, 2.0),
    # DistServe: several times the rate within both targets; first tokens from fewer replicas.
    ("pools-helps", "slo_attained", 2.0, 4.48),
    ("pools-helps", "tpot_ms_p99", 0.3, 0.8),
    ("pools-helps", "ttft_ms_mean", 1.2, 3.0),
    ("pools-hurts", "slo_attained", 0.0, 0.5),
    ("pools-hurts", "tpot_ms_p99", 5.0, 40.0),
    ("pools-hurts-short", "output_tok_s", 0.5, 0.9),
    # Sarathi-Serve, figures 1 and 7: no stalls between tokens, later first tokens.
    ("chunked-prefill-helps", "itl_ms_p99", 0.1, 0.5),
    ("chunked-prefill-helps", "ttft_ms_mean", 1.1, 3.0),
    ("chunked-prefill-hurts", "output_tok_s", 0.5, 0.9),
    ("chunked-prefill-hurts", "ttft_ms_mean", 1.1, 2.0),
    # KIVI: 2.35 to 3.47 times the throughput at 2 bits, by larger batches; here 8 bits.
    ("kv-quantization-helps", "output_tok_s", 1.3, 2.35),
    ("kv-quantization-hurts", "output_tok_s", 0.6, 0.95),
    ("kv-quantization-hurts", "tpot_ms_mean", 1.05, 2.0),
    ("kv-offload-helps", "output_tok_s", 1.05, 2.0),
    ("kv-offload-hurts", "output_tok_s", 0.1, 0.7),
    # CachedAttention: first tokens up to 87 % sooner.
    ("prefix-offload-helps", "ttft_ms_mean", 0.13, 0.8),
    ("prefix-offload-helps", "tpot_ms_mean", 0.3, 0.9),
    ("prefix-offload-hurts", "ttft_ms_mean", 1.2, 4.0),
    ("swap-helps", "output_tok_s", 1.1, 2.0),
    ("swap-helps", "itl_ms_p99", 0.1, 0.6),
    # PagedAttention, section 7.3: with small blocks computing again is the faster way.
    ("swap-hurts", "output_tok_s", 0.5, 0.97),
    ("swap-hurts", "itl_ms_p99", 1.3, 4.0),
])
def test_a_technique_tips_as_its_paper_says(
    case: str, figure: str, least: float, most: float
) -> None:
    assert least <= ratio(case, figure) <= most


def test_keeping_beginnings_that_nobody_shares_changes_nothing() -> None:
    kept, plain = summary("prefix-cache-neutral", ADDS["prefix-cache-neutral"]), summary(
        "prefix-cache-neutral", ())
    assert {k for k in kept if kept[k] != plain[k]} == {"plan_hash"}


def test_half_the_bytes_are_half_the_preemptions() -> None:
    for case in ("kv-quantization-helps", "swap-helps", "kv-offload-helps"):
        assert ratio(case, "preemptions") < 0.9


def gains(sweep: Sweep) -> list[float]:
    """Return what the technique changes along a sweep, more than 0 where it helps."""
    sign = -1.0 if sweep.shows.endswith(("p99", "mean")) else 1.0
    return [sign * (b / a - 1) for a, b in (both(sweep, v) for _, v in sweep.values)]


@pytest.mark.parametrize(("name", "helps"), [
    ("speculative-users", [True, True, True, False, False]),
    ("speculative-acceptance", [False, True, True, True, True, True]),
    ("prefix-router-documents", [False, False, True, True]),
    ("pools-link", [True, True, True, False, False]),
    ("kv-unpacking", [True, False]),
    ("offload-link", [True, True, False, False, False]),
    ("offload-share", [True, True, True, False]),
    ("prefix-offload-link", [True, True, True, True, True, False]),
])
def test_it_turns_where_the_page_says(name: str, helps: list[bool]) -> None:
    assert [g > 0 for g in gains(SWEPT[name])] == helps


@pytest.mark.parametrize("name", [
    "speculative-users", "offload-link", "pools-link", "prefix-offload-link",
])
def test_what_is_gained_falls_along_the_way(name: str) -> None:
    found = gains(SWEPT[name])
    assert found == sorted(found, reverse=True)


def test_more_accepted_is_more_gained() -> None:
    found = gains(SWEPT["speculative-acceptance"])
    assert found == sorted(found)


def test_acceptance_of_nothing_gained_follows_from_the_step() -> None:
    """A step with four proposals takes r of a plain one; 1 + a + ... + a^4 = r (Leviathan, 3.8)."""
    plain, drafted = (summary("speculative-helps", c) for c in ((), ADDS["speculative-helps"]))
    longer = drafted["itl_ms_mean"] / plain["itl_ms_mean"]
    acceptance = 0.17
    assert sum(acceptance**k for k in range(5)) == pytest.approx(longer, rel=0.02)


def test_smaller_steps_are_a_steadier_stream_and_less_throughput() -> None:
    steady = [both(SWEPT["chunks-budget"], v)[1] for _, v in SWEPT["chunks-budget"].values]
    done = [both(SWEPT["chunks-budget-long"], v)[1] for _, v in SWEPT["chunks-budget-long"].values]
    assert steady == sorted(steady) and done == sorted(done)


def test_larger_blocks_are_swapped_faster() -> None:
    found = gains(SWEPT["swap-block"])
    assert found == sorted(found) and found[0] < -0.03 and abs(found[2]) < 0.01


def test_the_tables_of_the_page_are_up_to_date() -> None:
    """`python -m tests.docs.serving_pairs` writes them anew."""
    page = PAGE.read_text(encoding="utf-8")
    for name, table in tables().items():
        written = page.split(f"<!-- {name} -->\n")[1].split(f"\n<!-- /{name} -->")[0]
        assert len(written.splitlines()) == len(table.splitlines()), name
        for line, now in zip(written.splitlines(), table.splitlines(), strict=True):
            assert _alike(line, now), f"{name}: {line} is now {now}"


def _alike(line: str, now: str) -> bool:
    """Whether words and figures are the same; a change in % follows from the figures."""
    old, new = ([c.strip() for c in text.strip("|").split("|")][:-1] for text in (line, now))
    if [_NUMBER.sub("", c) for c in old] != [_NUMBER.sub("", c) for c in new]:
        return False
    figures = [[float(n.replace(",", "")) for c in cells for n in _NUMBER.findall(c)]
               for cells in (old, new)]
    return figures[0] == pytest.approx(figures[1], rel=TOLERANCE, abs=0.05)


def test_scenarios_are_shipped_and_named_on_the_page() -> None:
    names = {n for n in shipped() if n.startswith("serving/")}
    assert names == {f"serving/{case}" for case in ADDS}
    page = PAGE.read_text(encoding="utf-8")
    assert all(name in page for name in names)


def test_the_folder_s_name_lists_its_scenarios() -> None:
    """One who forgets the rest of a name learns it."""
    said = call("run", "serving")
    assert said.code == 2 and all(f"serving/{case}" in said.err for case in ADDS)
    assert "serving/" in call("run", "nothing-like-it").err


def test_a_scenario_s_own_command_is_the_page_s() -> None:
    """What a file says to run is what its page shows, and what these tests have run."""
    page = PAGE.read_text(encoding="utf-8")
    for name, path in shipped().items():
        if name.startswith("serving/"):
            said = re.findall(r"^#   (llamasim diff .*)$", path.read_text("utf-8"), re.MULTILINE)
            assert len(said) == 1 and said[0] in page, name
            for change in ADDS[name.removeprefix("serving/")]:
                assert change in said[0], name


def test_both_sides_can_be_changed() -> None:
    """At one user the draft pays in the scenario in which it hurts, too."""
    result = call("diff", "serving/speculative-hurts", "--both", "workload.arrivals.concurrency=1",
                  "--both", "workload.arrivals.requests=2",
                  "--set", ADDS["speculative-hurts"][0])
    assert result.code == 0, result.err
    tokens = next(li for li in result.out.splitlines() if "output tok/s" in li)
    assert tokens.rstrip().endswith("%") and "+" in tokens
    assert "workload" not in result.out.partition("What the scenarios say differently")[2]


def test_four_bits_take_less_room_however_they_are_unpacked() -> None:
    plain, apart = (summary("kv-quantization-hurts", c) for c in ((), (APART,)))
    assert apart["kv_used_mean"] < 0.35 * plain["kv_used_mean"]
