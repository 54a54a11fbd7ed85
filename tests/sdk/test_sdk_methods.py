"""Every public method of the pinned SDK works on an embedded cluster or is refused in words."""

from __future__ import annotations

import pytest

from tests.sdk.calls import SURFACES
from tests.sdk.outcomes import DOCUMENT, document_with, is_fine, outcomes, public_methods, staged

Found = dict[str, dict[str, str]]

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    with staged(tmp_path_factory.mktemp("sdk") / "data") as stage:
        return outcomes(stage)


@pytest.mark.parametrize("surface", SURFACES)
def test_every_public_method_has_a_call(surface: str) -> None:
    subject, calls, _ = SURFACES[surface]
    assert [name for name in public_methods(subject) if name not in calls] == []


def test_no_call_is_of_a_method_that_is_gone() -> None:
    for _, calls, _ in SURFACES.values():
        subjects = [subject for subject, others, _ in SURFACES.values() if others is calls]
        assert set(calls) <= {name for subject in subjects for name in public_methods(subject)}


@pytest.mark.parametrize("surface", SURFACES)
def test_every_method_works_or_is_refused_in_words(found: Found, surface: str) -> None:
    assert {name: text for name, text in found[surface].items() if not is_fine(text)} == {}


def test_the_document_shows_the_outcomes(found: Found) -> None:
    """`python -m tests.sdk` writes the tables anew."""
    assert DOCUMENT.read_text() == document_with(found)
