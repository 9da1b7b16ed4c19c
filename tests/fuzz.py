"""What the world outside may send: JSON of every shape, and what was right before something bent it."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

#: Every character, lone surrogates included, which JSON can carry and UTF-8 cannot.
text = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=12),
    st.sampled_from(["\ud800", "a\udcffb", "\0", "\r\n", "é", "1" * 5000]),
)
numbers = st.one_of(
    st.integers(),
    st.integers(10**300, 10**320),  # no float can hold the larger ones
    st.sampled_from([2**31, 2**63, -1, 0, 10**18]),
    st.floats(),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, text)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
#: Nested deeper than Python's stack goes.
DEEP = "[" * 100_000


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    within = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in within:
        found += _paths(each, (*path, key))
    return found


@st.composite
def bent(draw: st.DrawFn, right: Any) -> Any:
    """
    Give a value with one or a few parts replaced, removed or doubled.

    :param right: as it is documented
    """
    value = copy.deepcopy(right)
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(_paths(value)))
        new = draw(st.one_of(anything, text, numbers))
        if not path:
            value = new
            continue
        holder = value
        for key in path[:-1]:
            holder = holder[key]
        if draw(st.booleans()):
            holder[path[-1]] = new
        else:
            del holder[path[-1]]
    return value


@st.composite
def documents(draw: st.DrawFn, right: Any) -> str:
    """
    Give a text that is, or once was, JSON.

    :param right: as it is documented
    """
    kind = draw(st.sampled_from(["bent", "bent", "bent", "cut", "other", "garbage", "deep"]))
    if kind == "deep":
        return draw(st.sampled_from([DEEP, '{"data":' + DEEP, '{"a":' * 100_000]))
    if kind == "garbage":
        return draw(text)
    whole = json.dumps(draw(anything if kind == "other" else bent(right)))
    return whole[: draw(st.integers(0, len(whole)))] if kind == "cut" else whole
