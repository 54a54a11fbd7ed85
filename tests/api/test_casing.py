from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from clusters.models import Cluster
from tests.api.client import Api
from vbase_console.api.casing import camel, in_camel

WORDS = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
NAMES = st.lists(WORDS, min_size=1, max_size=4).map("_".join)


@given(st.sets(NAMES, min_size=1, max_size=6), st.data())
def test_either_spelling_of_a_field_is_understood(names: set[str], data: st.DataObject) -> None:
    if len({camel(name) for name in names}) < len(names):
        return
    given_ = {data.draw(st.sampled_from([name, camel(name)])): name for name in names}
    assert in_camel(given_, names) == {camel(name): name for name in names}


@given(NAMES.filter(lambda name: camel(name) != name))
def test_both_spellings_of_a_field_are_refused(name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        in_camel({name: 1, camel(name): 1}, [name])
    assert list(refused.value.detail) == [camel(name)]


@given(st.dictionaries(st.text(), st.none() | st.integers(), min_size=1, max_size=50))
def test_what_is_unknown_is_named(unknown: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        in_camel(unknown, [])
    assert 1 <= len(refused.value.detail) <= 20


def test_a_message_with_many_strange_names_stays_short() -> None:
    with pytest.raises(ValidationError) as refused:
        in_camel({"\n" + "x" * 100_000: 1}, ["name"])
    (named,) = refused.value.detail
    assert len(named) <= 81
    assert named.isprintable()


@pytest.mark.django_db
def test_snake_case_is_taken_at_every_depth(api: Api) -> None:
    said = api.post("/clusters", name="a", resource_config={"compute_units": 2})
    assert said.status == 200
    assert Cluster.objects.get().compute_units == 2


@pytest.mark.django_db
def test_one_field_in_both_spellings_is_refused(api: Api) -> None:
    said = api.post("/clusters", name="a", resource_config={}, resourceConfig={})
    assert list(said.field_errors) == ["resourceConfig"]
    nested = {"compute_units": 1, "computeUnits": 1}
    said = api.post("/clusters", name="a", resourceConfig=nested)
    assert list(said.field_errors) == ["resourceConfig.computeUnits"]


@pytest.mark.django_db
def test_every_unknown_field_is_named(api: Api) -> None:
    said = api.post("/clusters", name="a", colour="red", resource_configs={})
    assert set(said.field_errors) == {"colour", "resource_configs"}


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.sampled_from(["a_b", "aB", "A_B", "ü_ö", "x-y", "_"]), st.text("aB_ü")))
def test_labels_are_never_recased(labels: dict[str, str]) -> None:
    from clusters.api.responses import ServiceInfoSerializer
    from clusters.validation import check_labels

    row = Cluster(organization_id=None, labels=check_labels(labels))
    assert ServiceInfoSerializer().fields["labels"].to_representation(row.labels) == labels
