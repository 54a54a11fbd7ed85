"""Names and descriptions of policies."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction

from backups.policies import services
from backups.policies.models import BackupPolicy
from clusters.models import Cluster
from tests.policies.conftest import MakePolicy
from tests.web.conftest import Browser, alices, browser_of
from vbase_console.core.errors import AlreadyExists, InvalidArgument

__all__ = ["alices", "browser_of"]
pytestmark = pytest.mark.django_db


def test_a_name_is_kept_without_outer_spaces(make_policy: MakePolicy) -> None:
    assert make_policy(name=" nightly ").name == "nightly"


def test_a_policy_without_a_name_is_named_after_its_schedule(make_policy: MakePolicy) -> None:
    assert make_policy(schedule_cron="0 3 * * *").name == "At 03:00 every day"


def test_default_names_are_numbered_where_taken(make_policy: MakePolicy) -> None:
    names = [make_policy().name for _ in range(3)]
    assert names == ["At 03:00 every day", "At 03:00 every day (2)", "At 03:00 every day (3)"]


def test_a_number_that_became_free_is_used_again(make_policy: MakePolicy) -> None:
    _, second, _ = (make_policy() for _ in range(3))
    services.delete_policy(second)
    assert make_policy().name == "At 03:00 every day (2)"


def test_a_default_name_has_at_most_63_characters_with_its_number(make_policy: MakePolicy) -> None:
    schedule = "1,5,9 2,7,11 3,9,21 2,5,8 MON,WED,FRI"
    first, second = (make_policy(schedule_cron=schedule).name for _ in range(2))
    assert len(first) <= 63 < len(first) + len(" (2)")
    assert second.endswith(" (2)")
    assert len(second) <= 63


def test_two_policies_of_a_cluster_cannot_share_a_name(
    make_policy: MakePolicy, policy: BackupPolicy
) -> None:
    make_policy(name="nightly")
    with pytest.raises(AlreadyExists, match="already has a policy named 'nightly'"):
        make_policy(name="nightly")
    with pytest.raises(AlreadyExists, match="already has a policy named 'nightly'"):
        services.update_policy(policy, name="nightly")


def test_policies_of_two_clusters_may_share_a_name(
    make_policy: MakePolicy, make_cluster: Callable[..., Cluster]
) -> None:
    names = {make_policy(name="nightly", cluster=make_cluster(name)).name for name in ("a", "b")}
    assert names == {"nightly"}


def test_the_database_forbids_a_second_policy_of_a_name(make_policy: MakePolicy) -> None:
    first, second = make_policy(), make_policy()
    with pytest.raises(IntegrityError), transaction.atomic():
        BackupPolicy.objects.filter(pk=second.pk).update(name=first.name)


def test_the_database_forbids_a_policy_without_a_name(policy: BackupPolicy) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        BackupPolicy.objects.filter(pk=policy.pk).update(name="")


@pytest.mark.parametrize("name", ["n" * 64, "two\nlines", "\x07"])
def test_a_name_has_1_to_63_printable_characters(make_policy: MakePolicy, name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make_policy(name=name)
    assert list(caught.value.field_errors) == ["name"]
    assert make_policy(name="n" * 63).name == "n" * 63


def test_a_default_name_follows_the_schedule(policy: BackupPolicy) -> None:
    assert services.update_policy(policy, schedule_cron="0 4 * * *").name == "At 04:00 every day"


def test_a_numbered_default_name_follows_the_schedule(
    policy: BackupPolicy, make_policy: MakePolicy
) -> None:
    changed = services.update_policy(make_policy(), schedule_cron="0 4 * * *")
    assert changed.name == "At 04:00 every day"


def test_a_chosen_name_stays_when_the_schedule_changes(make_policy: MakePolicy) -> None:
    changed = services.update_policy(make_policy(name="nightly"), schedule_cron="0 4 * * *")
    assert changed.name == "nightly"


def test_a_name_that_is_emptied_becomes_the_default_name(make_policy: MakePolicy) -> None:
    changed = services.update_policy(make_policy(name="nightly"), name="")
    assert changed.name == "At 03:00 every day"


def test_a_policy_keeps_its_own_name_in_a_change(make_policy: MakePolicy) -> None:
    changed = services.update_policy(make_policy(name="nightly"), name="nightly", retention_count=5)
    assert (changed.name, changed.retention_count) == ("nightly", 5)


def test_a_rename_plans_no_other_run(policy: BackupPolicy) -> None:
    assert services.update_policy(policy, name="nightly").next_run_at == policy.next_run_at


def test_a_description_has_at_most_500_characters(make_policy: MakePolicy) -> None:
    assert len(make_policy(description="d" * 500).description) == 500
    with pytest.raises(InvalidArgument) as caught:
        make_policy(description="d" * 501)
    assert list(caught.value.field_errors) == ["description"]


def test_a_line_break_of_a_browser_counts_as_one_character(make_policy: MakePolicy) -> None:
    assert make_policy(description="d" * 498 + "\r\n" + "d").description == "d" * 498 + "\n" + "d"


def test_the_page_shows_name_and_description(make_policy: MakePolicy, alices: Browser) -> None:
    policy = make_policy(name="nightly", description="For the auditors.")
    content = alices.open("policy-detail", policy.pk).content.decode()
    assert "<h1>nightly " in content
    assert "For the auditors." in content
    assert "At 03:00 every day" in content


@pytest.mark.parametrize("name", ["policy-edit", "policy-delete", "policy-runs", "policy-backups"])
def test_every_page_of_a_policy_names_it(
    make_policy: MakePolicy, alices: Browser, name: str
) -> None:
    assert b"nightly" in alices.open(name, make_policy(name="nightly").pk).content


def test_the_list_finds_a_policy_by_its_name(make_policy: MakePolicy, alices: Browser) -> None:
    nightly, other = make_policy(name="nightly"), make_policy(name="hourly")
    content = alices.open("policy-list", q="NIGHT").content.decode()
    assert nightly.policy_id in content
    assert other.policy_id not in content
