"""Each serving technique has a shipped case in which it helps and one in which it does not."""

from __future__ import annotations

import re

import pytest
from tests.cli.command_line import call
from tests.docs.serving_pairs import (
    APART,
    KEPT_AWAY,
    PAGE,
    PAIRS,
    SWAP,
    SWEEPS,
    Sweep,
    both,
    summary,
    tables,
)

from llamasim.cli.support import shipped
from llamasim.plan import compile_plan
from llamasim.plan.spec import StepShape
from llamasim.scenario import read
from llamasim.simulate.arrivals import draw
from llamasim.simulate.kv import room
from llamasim.simulate.pools import Shop
from llamasim.simulate.stagework import StageWork
from llamasim.simulate.stepcost import StepCosts

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
    ("offload-link", [True, True, False, False]),
    ("offload-share", [True, True, True, False]),
    ("prefix-offload-link", [True, True, True, True, False]),
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


@pytest.mark.parametrize(("name", "where", "said"), [
    ("speculative-users", 105, "about 105 users"),
    ("prefix-router-documents", 23, "about 23 documents"),
    ("pools-link", 4.0, "about 4 GB/s a replica"),
    ("offload-link", 265, "about 265 GB/s"),
    ("prefix-offload-link", 6.5, "about 6.5 GB/s"),
])
def test_the_turn_is_where_the_page_says(name: str, where: float, said: str) -> None:
    """On the line between the last value at which it helps and the first at which it hurts."""
    sweep, found = SWEPT[name], gains(SWEPT[name])
    at = [float(_NUMBER.findall(shown)[-1]) for shown, _ in sweep.values]
    turns = [x + (y - x) * p / (p - q) for x, y, p, q in
             zip(at, at[1:], found, found[1:], strict=False) if (p > 0) != (q > 0)]
    assert turns == [pytest.approx(where, rel=TOLERANCE)]
    assert said in PAGE.read_text(encoding="utf-8")


def test_a_quantized_cache_pays_once_the_cache_is_full() -> None:
    """33,760 tokens are 13.5 requests of 2,500; twelve users have room, sixteen have not."""
    found = dict(zip([v for v, _ in SWEPT["kv-users"].values], gains(SWEPT["kv-users"]),
                     strict=True))
    assert 0 < found["1"] < found["12"] < 0.1 < 0.5 < found["16"]
    assert shop("kv-quantization-helps").space.blocks * 16 / 2500 == pytest.approx(13.5, rel=0.05)


def shop(case: str, changes: tuple[str, ...] = ()) -> Shop:
    """Return what the servers of a case share."""
    scenario, _ = read(shipped()[f"serving/{case}"], changes)
    assert scenario is not None
    plan, _ = compile_plan(scenario)
    assert plan is not None
    largest = StepShape.of(1, plan.schedule.token_budget)
    costs, stream = StepCosts(StageWork.of(plan, scenario)), draw(scenario.workload, scenario.seed)
    return Shop(plan, scenario, room(plan, scenario, largest, 5000.0), costs, stream, True)


def test_what_the_causes_say_is_so() -> None:
    """The figures in running text, each with the words around it."""
    page = " ".join(PAGE.read_text(encoding="utf-8").split())

    def holds(value: float, said: str) -> None:
        assert said in page, said
        figure = float(_NUMBER.findall(said)[0].replace(",", ""))
        assert figure == pytest.approx(value, rel=TOLERANCE), said

    token = 131_072  # bytes of a token's cache: 32 layers x 8 heads x 128 x 2 x 2
    plain, drafted = (summary("speculative-helps", c) for c in ((), ADDS["speculative-helps"]))
    yielded = sum(0.7**k for k in range(5))
    holds(yielded, "2.8 tokens at 70 %")
    assert drafted["itl_ms_mean"] / plain["itl_ms_mean"] == pytest.approx(1.2, rel=TOLERANCE)
    holds(256 * 5, "1,280 rows")
    holds(100 * (1 - yielded / 5), "45 % are thrown away")
    holds(4000 * token / 1e9, "0.5 GB of cache")
    holds(14 / 2 * 4000 * token / 1e9, "3.7 GB/s each")
    chunked = shop("chunked-prefill-helps")
    holds(chunked.costs.mixed(0, 0.0, ((3000, 0),))[0], "0.22 s, in which nobody else")
    holds(summary("chunked-prefill-helps", ADDS["chunked-prefill-helps"])["itl_ms_p99"],
          "65 ms, with")
    small, large = shop("swap-helps", (SWAP,)), shop("swap-hurts", (SWAP,))
    whole = ((3000, 0),)
    holds(small.costs.mixed(0, 0.0, whole)[0] * 1e3, "370 ms to compute 3,000 tokens again")
    holds(large.costs.mixed(0, 0.0, whole)[0] * 1e3, "87 ms to compute them")
    holds(small.limits().swap_block_s * 188 * 1e3, "83 ms each way;")
    holds(large.limits().swap_block_s * 188 * 1e3, "114 ms each way:")
    holds(token / 64 * 16 / 1024, "32 KB, too small")
    holds(40 * 16_000 * token * 0.2 / 1e9, "17 GB a step")
    for case, said in (("kv-offload-helps", "45 ms over NVLink-C2C"),
                       ("kv-offload-hurts", "300 ms over PCIe 5")):
        holds(shop(case).seconds("host", 40 * 16_000 * token * 0.2) * 1e3, said)
    document = 4096 * token
    fast, slow = (shop(f"prefix-offload-{n}", (KEPT_AWAY,)) for n in ("helps", "hurts"))
    holds(200 * document / 1e9, "107 GB of cache")
    holds(fast.costs.mixed(0, 0.0, ((4096, 0),))[0], "0.12 s, to copy it")
    holds(fast.limits().kept_block_s * 256 * 1e3, "11 ms over PCIe 5")
    holds(slow.limits().kept_block_s * 256, "0.18 s over four lanes")


def test_chunks_of_a_larger_model_cost_what_the_page_says() -> None:
    """A 34B model on two A100s, prompts of 4,096 and of 16,384 tokens alone."""
    wide = ("model=codellama-34b", "cluster.devices_per_node=2", "workload.output=1 tok",
            "use.parallelism.tensor.tensor_parallel={degree: 2}",
            "workload.arrivals={process: closed, concurrency: 1, requests: 1}")
    longer = []
    for prompt in ("4096 tok", "16384 tok"):
        given = (*wide, f"workload.prompt={prompt}")
        whole, cut = (summary("chunked-prefill-hurts", given + adds)["ttft_ms_mean"]
                      for adds in ((), ADDS["chunked-prefill-hurts"]))
        longer.append(cut / whole)
    assert longer == [pytest.approx(1.35, rel=TOLERANCE), pytest.approx(1.46, rel=TOLERANCE)]
    assert "35 to 46 %" in PAGE.read_text(encoding="utf-8")


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
