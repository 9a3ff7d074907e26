"""Which beginnings prompts share: of a recording, or drawn from a few texts."""

from __future__ import annotations

from collections.abc import Callable

from llamasim.scenario.spec import Scenario
from llamasim.simulate.arrivals import Stream
from llamasim.simulate.prefixes import Parts


def parts_of(stream: Stream, scenario: Scenario, block: int) -> Callable[[int], Parts]:
    """Return a function from a request to the parts of its prompt that others may share.

    Only whole blocks of `block` tokens are shared; where a part ends within one, that block counts
    to the next part.
    """
    workload = scenario.workload
    recording = workload.arrivals.recording if workload.arrivals else None
    if recording is not None and recording.blocks is not None and recording.starts is not None:
        starts, numbers = recording.starts.tolist(), recording.blocks
        prompt, size = stream.prompt, recording.block

        def recorded(request: int) -> Parts:
            chain, whole, end = [], int(prompt[request]) // block, 0
            picked = numbers[starts[request] : starts[request + 1]].tolist()
            for at, number in enumerate(picked, 1):
                until = min(whole, size * at // block)
                if until > end:
                    chain.append((number, until - end))
                    end = until
            return tuple(chain)

        return recorded
    shared, prompts = workload.shared_prefix, stream.prompt.tolist()
    group = stream.group.tolist()

    def drawn(request: int) -> Parts:
        whole = min(shared, prompts[request]) // block
        return ((group[request], whole),) if whole else ()

    return drawn
