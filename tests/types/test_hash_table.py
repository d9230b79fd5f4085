"""Compact hash tables: what dict and set do, in less memory."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from kling_async.types.hash_table import IntTable, KeySet, hash_of

MIB = 1 << 20
near = st.integers(1, 40) | st.integers(1, (1 << 64) - 1) | st.integers(0, 20).map(lambda n: (n << 54) + 1)
"""Keys that are equal, lie together, or differ in high bits only."""


@given(
    st.lists(
        st.tuples(st.sampled_from(["set", "count", "has", "get"]), near, st.integers(0, (1 << 32) - 1)), max_size=200
    )
)
def test_it_answers_as_a_dict_does(calls: list[tuple[str, int, int]]) -> None:
    """Whatever is asked in whatever order, the answers are those of a dict."""
    table, model = IntTable(), dict[int, int]()
    for what, key, value in calls:
        if what == "set":
            assert model.setdefault(key, value) == table.setdefault(key, value)
        elif what == "has":
            assert (key in model) == (key in table)
        elif what == "get":
            assert model.get(key) == table.get(key)
        elif model.get(key, 0) < (1 << 32) - 1:
            assert model.get(key, 0) == table.increment(key)
            model[key] = model.get(key, 0) + 1
    assert len(model) == len(table)


def test_it_grows_and_forgets_nothing() -> None:
    """Neighbours and multiples of powers of two, thousands of them, keep their values."""
    keys = [*range(1, 5000), *((n << 40) + 7 for n in range(5000)), *(n * 65_536 for n in range(1, 5000))]
    model, table = dict[int, int](), IntTable()
    for number, key in enumerate(keys):
        model.setdefault(key, number)
        table.setdefault(key, number)
    assert len(model) == len(table)
    assert [model[key] for key in keys] == [table.setdefault(key, 0) for key in keys]
    assert all(key + (1 << 63) not in table for key in keys[:100])


def test_a_set_of_texts_knows_what_is_new() -> None:
    """A text is new once, and nothing but a text is in it."""
    keys = KeySet()
    assert [True, True, False, True, False] == [keys.add(key) for key in ("a", "b", "a", "", "")]
    assert ("a" in keys, "c" in keys, None in keys, len(keys)) == (True, False, False, 3)
    assert all(0 < hash_of(text) < 1 << 64 for text in ("", "a", "b"))


def test_a_hundred_thousand_keys_take_four_mebibytes() -> None:
    """The text of a key is not kept."""
    tracemalloc.start()
    try:
        keys = KeySet()
        for number in range(100_000):
            assert keys.add(f"a key of some length, number {number}")
        assert tracemalloc.get_traced_memory()[0] < 4 * MIB
    finally:
        tracemalloc.stop()
    assert len(keys) == 100_000
