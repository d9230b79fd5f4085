"""What a parameter may be."""

from __future__ import annotations

import pytest

from kling_async.providers.parameter_rules import (
    Boolean,
    OneOf,
    Range,
    Rule,
    Shots,
    Text,
    Unchecked,
    Url,
    UrlList,
    suggestion,
)
from kling_async.types.inputs import Shot

URL = "https://x.test/a.png"
TABLE: list[tuple[Rule, list[object], list[object], str]] = [
    (OneOf(("1k", "2k")), ["1k"], ["1K", "", 1, None, ["1k"]], "must be one of 1k, 2k"),
    (OneOf((5, 10)), [5, 10], [5.0, "5", True, 7], "must be one of 5, 10"),
    (OneOf((0, 1)), [0, 1], [True, False], "must be one of 0, 1"),
    (Range(1, 9), [1, 9], [0, 10, 1.0, True, "1", None], "must be a whole number from 1 to 9"),
    (
        Range(0, 1, integer=False),
        [0, 0.5, 1],
        [-0.1, 1.1, float("nan"), float("inf"), True, "0.5"],
        "must be from 0 to 1",
    ),
    (Text(), ["a", "x" * 10_000], ["", " \n", None, 7], "must be text, and not blank"),
    (Text(5), ["a", "abcde"], ["abcdef", " ", b"a"], "must be text of 1 to 5 characters"),
    (Text(5000, 3), ["abc"], ["ab", "a  ", "x" * 5001], "must be text of 3 to 5,000 characters"),
    (Text(5, 0), ["", " "], ["abcdef", None], "must be text of 0 to 5 characters"),
    (Boolean(), [True, False], [0, 1, "true", None], "must be True or False"),
    (
        Url(),
        [URL, "http://x.test", "https://user@x.test:1/ä?b#c"],
        ["", "a.png", "/a.png", "C:\\a.png", "ftp://x.test/a", "https://", "https:// x", f"{URL} ", f"\n{URL}", None],
        "must be an http or https URL",
    ),
    (
        UrlList(2),
        [(), (URL,), (URL, URL)],
        [(URL,) * 3, (URL, "a.png"), [URL], URL, None],
        "takes at most 2, and each must be an http or https URL",
    ),
    (
        Shots(2, Text(5)),
        [(), (Shot("a", 1), Shot("b", 1))],
        [(Shot("a", 1),) * 3, (Shot("abcdef", 1),), ("a",), [Shot("a", 1)], None],
        "takes at most 2 shots, and the prompt of each must be text of 1 to 5 characters",
    ),
    (Unchecked("a list"), [None, [], "x", 1.5], [], "is passed through (a list)"),
]


@pytest.mark.parametrize(("rule", "right", "wrong", "text"), TABLE, ids=[repr(row[0]) for row in TABLE])
def test_rules(rule: Rule, right: list[object], wrong: list[object], text: str) -> None:
    """A rule allows what it says and nothing else, never something that is merely equal to it."""
    assert (right, []) == ([one for one in right if rule.allows(one)], [one for one in wrong if rule.allows(one)])
    assert text == str(rule)


HINTS: list[tuple[Rule, object, str]] = [
    (OneOf(("std", "pro")), "Pro", "; did you mean pro?"),
    (OneOf(("std", "pro")), "fast", ""),
    (OneOf(("16:9", "9:16")), "16:8", ""),
    (OneOf(("16:9", "9:16")), "16x9", "; did you mean 16:9?"),
    (OneOf((5, 10)), 1, ""),
    (Range(1, 9), 10, ""),
]


@pytest.mark.parametrize(("rule", "value", "hint"), HINTS)
def test_hints(rule: Rule, value: object, hint: str) -> None:
    """A word that resembles another is taken for a slip; one number is none for the next."""
    assert hint == rule.hint(value)


@pytest.mark.parametrize(
    ("rule", "value", "told"),
    [
        (Url(), "a.png", True),
        (UrlList(2), ("a.png",), True),
        (UrlList(2), (URL,) * 3, False),
        (UrlList(2), None, False),
    ],
)
def test_a_path_in_text_is_told_how_to_give_a_file(rule: Rule, value: object, *, told: bool) -> None:
    """Who gives a path as text learns how a local file is given; who gives too many does not."""
    assert told is ("pathlib.Path" in rule.hint(value))


@pytest.mark.parametrize(
    ("wrong", "right", "text"),
    [
        ("kling", ["Kling", "Veo"], "; did you mean Kling?"),
        ("KLING-3", ["kling-3"], "; did you mean kling-3?"),
        ("sora", ["kling"], ""),
        ("", ["kling"], ""),
        ("kling", [], ""),
    ],
)
def test_suggestions(wrong: str, right: list[str], text: str) -> None:
    """The right word is found whatever its case, and written as it is."""
    assert text == suggestion(wrong, right)
