"""Arguments that a template may have made texts of."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_tiktok.api.models import PostMode, PrivacyLevel
from airflow_provider_tiktok.exceptions import TikTokInputError
from airflow_provider_tiktok.publishing.arguments import (
    as_bool,
    as_choice,
    as_seconds,
    as_texts,
    as_whole,
)

ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.binary()
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, True) for value in (True, "True", "true", " TRUE ", 1, "1")),
        *((value, False) for value in (False, "False", "false", 0, "0")),
        *((value, None) for value in (None, "None", "none", "", " ")),
    ],
)
def test_bools(value: object, expected: bool | None) -> None:
    assert as_bool("it", value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), ("0", 0), (" 1500 ", 1500), (2**31 - 1, 2**31 - 1), (None, None), ("None", None), ("", None)],
)
def test_whole_numbers(value: object, expected: int | None) -> None:
    assert as_whole("it", value) == expected


@pytest.mark.parametrize("value", [-1, "1.5", 1.5, True, "١٢", "1e3", "0x10", 2**31, "²", [1]])
def test_no_whole_numbers(value: object) -> None:
    with pytest.raises(TikTokInputError, match="it must be a whole number"):
        as_whole("it", value)


@pytest.mark.parametrize(
    ("value", "expected"), [(1, 1.0), ("1.5", 1.5), (" 30 ", 30.0), (31_536_000, 31_536_000)]
)
def test_seconds(value: object, expected: float) -> None:
    assert as_seconds("it", value) == expected


@pytest.mark.parametrize("value", [0, -1, None, "", "soon", True, "nan", "inf", 1e300, 31_536_001, [1]])
def test_no_seconds(value: object) -> None:
    """Airflow adds them to a date once the publish was started: too many must be refused before."""
    with pytest.raises(TikTokInputError, match="it must be a number of seconds"):
        as_seconds("it", value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a.jpg", " b.jpg "], ("a.jpg", "b.jpg")),
        (("a.jpg", Path("b.jpg")), ("a.jpg", "b.jpg")),
        ('["a.jpg", "b.jpg"]', ("a.jpg", "b.jpg")),
        ("['a.jpg', 'b.jpg']", ("a.jpg", "b.jpg")),
        ("('a.jpg', 'b.jpg')", ("a.jpg", "b.jpg")),
        (" ('a.jpg',) ", ("a.jpg",)),
        ("a.jpg", ("a.jpg",)),
        (Path("a.jpg"), ("a.jpg",)),
        ("[1] a.jpg", ("[1] a.jpg",)),
        ("(1) a.jpg", ("(1) a.jpg",)),
        ("(1)", ("(1)",)),
        ("", ()),
        (None, ()),
        ("[]", ()),
    ],
    ids=repr,
)
def test_texts(value: object, expected: tuple[str, ...]) -> None:
    """A template makes texts of lists and tuples."""
    assert as_texts("it", value) == expected


@pytest.mark.parametrize("value", [7, b"a.jpg", [""], ["a.jpg", None], [["a.jpg"]], "[1]"], ids=repr)
def test_no_texts(value: object) -> None:
    with pytest.raises(TikTokInputError, match="it must be a list of texts, none of them empty"):
        as_texts("it", value)


@pytest.mark.parametrize("value", ["SELF_ONLY", PrivacyLevel.SELF_ONLY])
def test_choices(value: object) -> None:
    assert as_choice("it", value, PrivacyLevel) is PrivacyLevel.SELF_ONLY


def test_a_choice_names_the_others() -> None:
    with pytest.raises(TikTokInputError, match="it must be one of DIRECT_POST, MEDIA_UPLOAD, not 'DRAFT'"):
        as_choice("it", "DRAFT", PostMode)


@given(ANYTHING)
def test_nothing_but_a_refusal_or_a_value(value: object) -> None:
    for read in (as_bool, as_whole, as_seconds):
        try:
            result = read("it", value)
        except TikTokInputError:
            continue
        assert result is None or isinstance(result, bool | int | float)
