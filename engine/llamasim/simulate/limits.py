"""What bounds a server's iterations, and what a server did."""

from __future__ import annotations

import attrs

from llamasim.simulate.grid import Corner


@attrs.frozen
class Limits:
    """The policy of one scheduler.

    Attributes:
        token_budget: tokens of an iteration; `max_sequences` that run together.
        rows, tokens_out: tokens that a decode step processes and yields for each sequence.
        static: a batch stays together until its last token.
        whole: prompts are not cut; one that is longer than the budget is turned away.
        apart: prefills run in iterations of their own, before decodes.
        swap_bytes: host memory of each device for sequences that give way; 0: they are computed
            again.
        swap_block_s: seconds in which a block passes between device and host.
        kept_block_s: seconds in which a block of a beginning comes back from the host.
        swap_block_bytes: of a block, on the device where it is largest.
        coalesce: whether equal decode steps are one event.
        loaded: requests come with their prompt's cache and first token from elsewhere.
        hands_over: requests go elsewhere after their first token.
        longest: most tokens of a request; longer ones are turned away.

    """

    token_budget: int
    max_sequences: int
    rows: float = 1.0
    tokens_out: float = 1.0
    static: bool = False
    whole: bool = False
    apart: bool = False
    swap_bytes: float = 0.0
    swap_block_s: float = 0.0
    kept_block_s: float = 0.0
    swap_block_bytes: float = 1.0
    coalesce: bool = True
    loaded: bool = False
    hands_over: bool = False
    longest: int | None = None


@attrs.define(eq=False, repr=False)
class Usage:
    """What a server did.

    Attributes:
        corners: steps at each grid point of the work that no cache changes; `alone` the seconds
            of all steps, had no other batch been near. Kept only where something waits in them.
        send: seconds between stages.
        copies_s: seconds of copies of the cache that the work beside them did not hide.
        swapped: blocks that went to the host or came back.
        swap_s: seconds of copies that iterations began with.
        pieces: pieces of prompts that they processed.

    """

    corners: dict[Corner, float] = attrs.Factory(dict)
    alone: float = 0.0
    send: float = 0.0
    copies_s: float = 0.0
    swapped: int = 0
    swap_s: float = 0.0
    pieces: int = 0
