"""The form: what it shows while one types, what it refuses in place, and what it asks first."""

from __future__ import annotations

import re

import pytest
import time_machine

from backups.policies import services
from backups.policies.models import BackupPolicy
from backups.policies.presets import PRESETS, SchedulePreset
from backups.protection.inventory import record_scan
from clusters.models import Cluster
from clusters.services import stop_cluster
from tests.policies.conftest import MakePolicy
from tests.policies.pages import Pretend, back_up, pretend
from tests.policies.test_services import NOON
from tests.web.conftest import Browser, alices, bobs, browser_of, charlies, olgas
from vbase_console.core.errors import NotFound
from vbase_console.organizations.models import AuditEntry

__all__ = ["alices", "bobs", "browser_of", "charlies", "olgas", "pretend"]
TYPED = {
    "schedule_cron": "30 2 * * *",
    "timezone": "Europe/Berlin",
    "retention_count": "5",
    "db_name": "default",
    "which": "all",
    "on_missing": "FAIL",
}
CHOSEN = {"which": "chosen", "collection_names": ["images"]}


def shown(answer: object) -> str:
    return answer.content.decode()  # type: ignore[attr-defined,no-any-return]


def last_entry() -> tuple[str, str, str]:
    entry = AuditEntry.objects.latest("pk")
    return entry.action, entry.outcome, entry.object_id


def test_it_creates_what_was_typed(cluster: Cluster, alices: Browser) -> None:
    answer = alices.send("policy-create", cluster.pk, **TYPED)
    policy = BackupPolicy.objects.get()
    assert answer.url == alices.address("policy-detail", policy.pk)
    facts = policy.schedule_cron, policy.timezone, policy.retention_count, policy.collection_names
    assert facts == ("30 2 * * *", "Europe/Berlin", 5, [])
    assert last_entry() == ("CreateBackupPolicy", "ACCEPTED", policy.pk)


@pytest.mark.parametrize(("key", "preset"), PRESETS.items())
def test_a_preset_decides_the_expression(
    cluster: Cluster, alices: Browser, key: str, preset: SchedulePreset
) -> None:
    alices.send("policy-create", cluster.pk, **TYPED | {"preset": key, "schedule_cron": "typo"})
    assert BackupPolicy.objects.get().schedule_cron == preset.schedule_cron


def test_an_expression_counts_if_no_preset_is_chosen(cluster: Cluster, alices: Browser) -> None:
    alices.send("policy-create", cluster.pk, **TYPED | {"preset": "custom"})
    assert BackupPolicy.objects.get().schedule_cron == TYPED["schedule_cron"]


def test_a_preset_is_previewed_while_one_chooses(cluster: Cluster, alices: Browser) -> None:
    typed = TYPED | {"preset": "weekly", "schedule_cron": ""}
    content = shown(alices.open("policy-create-preview", cluster.pk, htmx=True, **typed))
    assert "At 03:00 on Sunday" in content


@pytest.mark.parametrize(
    ("schedule_cron", "key"), [("0 3  * * *", "daily"), ("5 3 * * *", "custom")]
)
def test_the_form_of_a_policy_shows_its_preset(
    make_policy: MakePolicy, alices: Browser, schedule_cron: str, key: str
) -> None:
    policy = make_policy(schedule_cron=schedule_cron)
    content = shown(alices.open("policy-edit", policy.pk))
    assert re.search(rf'name="preset" value="{key}"[^>]*checked', content)


def test_the_choice_of_a_cluster_is_skipped_if_there_is_one(
    cluster: Cluster, alices: Browser
) -> None:
    assert alices.open("policy-new", skip=1).url == alices.address("policy-create", cluster.pk)


def test_it_creates_the_typed_name_and_description(cluster: Cluster, alices: Browser) -> None:
    about = {"name": "nightly", "description": "For the auditors.\r\nKeep it."}
    alices.send("policy-create", cluster.pk, **TYPED | about)
    policy = BackupPolicy.objects.get()
    assert (policy.name, policy.description) == ("nightly", "For the auditors.\nKeep it.")


def test_the_form_of_a_policy_shows_its_name_and_description(
    make_policy: MakePolicy, alices: Browser
) -> None:
    policy = make_policy(name="nightly", description="For the auditors.")
    content = shown(alices.open("policy-edit", policy.pk))
    assert 'value="nightly"' in content
    assert "For the auditors.</textarea>" in content


def test_a_taken_name_is_refused_in_the_form(
    cluster: Cluster, make_policy: MakePolicy, alices: Browser
) -> None:
    make_policy(name="nightly")
    answer = alices.send("policy-create", cluster.pk, **TYPED | {"name": "nightly"})
    assert answer.status_code == 409
    assert "Choose another name." in shown(answer)


def test_a_description_that_is_too_long_is_refused_at_its_field(
    cluster: Cluster, alices: Browser
) -> None:
    answer = alices.send("policy-create", cluster.pk, **TYPED | {"description": "d" * 501})
    assert answer.status_code == 422
    assert 'id="id_description_error"' in shown(answer)


def test_chosen_collections_and_what_becomes_of_missing_ones_are_kept(
    cluster: Cluster, alices: Browser
) -> None:
    typed = TYPED | CHOSEN | {"on_missing": "WARN", "include_access_control": "on"}
    alices.send("policy-create", cluster.pk, **typed)
    policy = BackupPolicy.objects.get()
    assert (policy.collection_names, policy.on_missing) == (["images"], "WARN")
    assert policy.include_access_control


def test_all_means_all_although_some_are_ticked(cluster: Cluster, alices: Browser) -> None:
    alices.send("policy-create", cluster.pk, **TYPED | CHOSEN | {"which": "all"})
    assert BackupPolicy.objects.get().collection_names == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"schedule_cron": "0 25 * * *"}, "is not possible in the field hour"),
        ({"schedule_cron": ""}, "Enter a schedule"),
        ({"timezone": "Mars/Base"}, "is no time zone"),
        ({"retention_count": "0"}, "greater than or equal to 1"),
        ({"retention_count": "many"}, "whole number"),
        ({"db_name": "no/name"}, "'no/name' cannot be the name of a database"),
        ({"which": "chosen"}, "Choose at least one collection"),
        ({"which": "chosen", "others": "_vbase_x"}, "console's own"),
    ],
)
def test_what_is_wrong_is_said_in_place_and_nothing_typed_is_lost(
    cluster: Cluster, alices: Browser, pretend: Pretend, given: dict[str, str], said: str
) -> None:
    pretend(default=["images", "texts"])
    typed = TYPED | {"timezone": "Asia/Kolkata"} | given
    answer = alices.send("policy-create", cluster.pk, **typed)
    assert (answer.status_code, BackupPolicy.objects.count()) == (422, 0)
    assert said in shown(answer).replace("&#x27;", "'")
    assert f'value="{typed["timezone"]}"' in shown(answer)


def test_a_problem_stands_beside_its_field_and_the_field_names_it(
    cluster: Cluster, alices: Browser
) -> None:
    content = shown(alices.send("policy-create", cluster.pk, **TYPED | {"schedule_cron": "@x"}))
    place = re.search(r'<div id="id_schedule_cron_error" class="problem">(.*?)</div>', content)
    assert place is not None
    assert "is not known" in place[1]
    assert 'aria-describedby="id_schedule_cron_helptext id_schedule_cron_error"' in content


def test_a_database_that_the_cluster_does_not_have_is_refused_in_place(
    cluster: Cluster, alices: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object) -> None:
        raise NotFound("There is no database 'films', only default.")

    monkeypatch.setattr(services, "look_for_database", nothing)
    answer = alices.send("policy-create", cluster.pk, **TYPED | {"db_name": "films"})
    assert answer.status_code == 422
    assert 'id="id_db_name_error"' in shown(answer)


@time_machine.travel(NOON, tick=False)
def test_typing_shows_words_and_runs_in_the_policys_zone_and_in_the_readers(
    cluster: Cluster, alices: Browser
) -> None:
    answer = alices.open("policy-create-preview", cluster.pk, htmx=True, **TYPED)
    for text in ("At 02:30 every day", "Tue 2026-06-02 02:30 CEST", "2026-06-02T00:30:00Z"):
        assert text in shown(answer)
    assert "Keeps the 5 latest complete backups (about 5 days)" in shown(answer)


def test_typing_something_bad_says_so_at_the_field(cluster: Cluster, alices: Browser) -> None:
    typed = {"schedule_cron": "0 0 30 2 *", "timezone": "UTC", "retention_count": "3"}
    answer = alices.open("policy-create-preview", cluster.pk, htmx=True, **typed)
    assert answer.status_code == 200
    assert 'id="id_schedule_cron_error" class="problem" hx-swap-oob="true"><p>' in shown(answer)
    assert 'id="id_timezone_error" class="problem" hx-swap-oob="true"></div>' in shown(answer)


def test_without_a_script_a_button_shows_the_same_and_creates_nothing(
    cluster: Cluster, alices: Browser, pretend: Pretend
) -> None:
    pretend(default=["images", "texts"])
    typed = TYPED | CHOSEN | {"schedule_cron": "@monthly"}
    content = shown(alices.send("policy-create-preview", cluster.pk, **typed))
    assert "At 00:00 on the first day of every month" in content
    assert re.search(r'value="images"[^>]*checked', content)
    assert not BackupPolicy.objects.exists()
    assert not AuditEntry.objects.exists()


def test_the_preview_without_a_script_says_what_is_bad_and_loses_nothing(
    cluster: Cluster, alices: Browser
) -> None:
    typed = TYPED | {"schedule_cron": "nonsense", "others": "images\nbooks", "which": "chosen"}
    content = shown(alices.send("policy-create-preview", cluster.pk, **typed))
    assert "Give five fields" in content
    assert 'value="nonsense"' in content
    assert "images\nbooks" in content


def test_another_database_shows_its_own_collections(
    cluster: Cluster, alices: Browser, pretend: Pretend
) -> None:
    pretend(default=["images"], films=["posters"])
    content = shown(alices.open("policy-create", cluster.pk, db_name="films"))
    assert 'value="posters"' in content
    assert 'value="images"' not in content
    assert '<option value="films" selected>' in content


def test_a_cluster_that_does_not_answer_has_its_names_written(
    cluster: Cluster, alices: Browser
) -> None:
    content = shown(alices.open("policy-create", cluster.pk))
    assert "cannot be listed now" in content
    assert '<input type="text" name="db_name"' in content
    alices.send("policy-create", cluster.pk, **TYPED | {"which": "chosen", "others": "a\r\n b \n"})
    assert BackupPolicy.objects.get().collection_names == ["a", "b"]


def test_a_stopped_cluster_can_have_a_policy_already(
    cluster: Cluster, alices: Browser, work: object
) -> None:
    stop_cluster(cluster, by="alice")
    work()  # type: ignore[operator]
    assert "It must be running" in shown(alices.open("policy-create", cluster.pk))
    assert alices.send("policy-create", cluster.pk, **TYPED).status_code == 302


def test_very_many_collections_are_listed_in_part_and_named(
    cluster: Cluster, alices: Browser, pretend: Pretend
) -> None:
    pretend(default=[f"c{number:04}" for number in range(1_000)])
    content = shown(alices.open("policy-create", cluster.pk))
    assert content.count('name="collection_names"') == 200
    assert 'name="others"' in content


def test_three_thousand_ticks_are_taken(
    cluster: Cluster, alices: Browser, pretend: Pretend
) -> None:
    names = [f"c{number:04}" for number in range(3_000)]
    pretend(default=names)
    alices.send("policy-create", cluster.pk, **TYPED | CHOSEN | {"collection_names": names})
    assert BackupPolicy.objects.get().collection_names == names


def test_a_collection_that_is_gone_stays_ticked_and_says_so(
    make_policy: MakePolicy, alices: Browser, pretend: Pretend
) -> None:
    pretend(default=["images"])
    policy = make_policy(collection_names=["images", "texts"])
    content = shown(alices.open("policy-edit", policy.pk))
    assert 'texts <span class="muted">not found</span>' in content
    assert content.count("checked") == 5  # preset, both collections, which, and onMissing


def test_a_higher_count_is_saved_at_once(policy: BackupPolicy, alices: Browser) -> None:
    back_up(policy)
    answer = alices.send("policy-edit", policy.pk, **TYPED)
    policy.refresh_from_db()
    assert (answer.status_code, policy.retention_count) == (302, 5)
    assert last_entry() == ("UpdateBackupPolicy", "ACCEPTED", policy.pk)
    assert "Saved." in shown(alices.open("policy-detail", policy.pk))


def test_a_database_that_has_vanished_keeps_nobody_from_changing_the_rest(
    make_policy: MakePolicy, alices: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_policy(db_name="films")
    monkeypatch.setattr(services, "look_for_database", pytest.fail)
    answer = alices.send("policy-edit", policy.pk, **TYPED | {"db_name": "films"})
    assert answer.status_code == 302


def test_a_lower_count_first_shows_what_would_go_and_why(
    policy: BackupPolicy, alices: Browser
) -> None:
    old, new = back_up(policy), back_up(policy)
    answer = alices.send("policy-edit", policy.pk, **TYPED | {"retention_count": "1"})
    policy.refresh_from_db()
    assert (answer.status_code, policy.retention_count) == (409, 2)
    assert old.name in shown(answer)
    assert "2nd newest" in shown(answer)
    assert new.name not in shown(answer)


def test_what_is_asked_first_is_no_refusal_in_history(
    policy: BackupPolicy, alices: Browser
) -> None:
    for _ in range(2):
        back_up(policy)
    alices.send("policy-edit", policy.pk, **TYPED | {"retention_count": "1"})
    assert not AuditEntry.objects.exists()


def test_what_was_shown_can_be_confirmed(policy: BackupPolicy, alices: Browser) -> None:
    for _ in range(2):
        back_up(policy)
    typed = TYPED | {"retention_count": "1"}
    asked = shown(alices.send("policy-edit", policy.pk, **typed))
    mark = re.search(r'name="confirmed" value="(\w+)"', asked)
    assert mark is not None
    alices.send("policy-edit", policy.pk, **typed, confirmed=mark[1])
    policy.refresh_from_db()
    assert (policy.retention_count, policy.schedule_cron) == (1, "30 2 * * *")


def test_it_asks_again_when_others_would_go_by_now(policy: BackupPolicy, alices: Browser) -> None:
    for _ in range(2):
        back_up(policy)
    typed = TYPED | {"retention_count": "1", "confirmed": "of something else"}
    assert alices.send("policy-edit", policy.pk, **typed).status_code == 409
    policy.refresh_from_db()
    assert policy.retention_count == 2


def test_what_goes_anyway_is_no_reason_to_ask(policy: BackupPolicy, alices: Browser) -> None:
    for _ in range(3):
        back_up(policy)
    answer = alices.send("policy-edit", policy.pk, **TYPED | {"retention_count": "2"})
    assert answer.status_code == 302


def test_typing_a_lower_count_names_what_would_go(policy: BackupPolicy, alices: Browser) -> None:
    old, _ = back_up(policy), back_up(policy)
    typed = {"schedule_cron": "@daily", "timezone": "UTC", "retention_count": "1"}
    content = shown(alices.open("policy-preview", policy.pk, htmx=True, **typed))
    assert "1 of the 2 backups of this policy would be deleted" in content
    assert old.name in content


@pytest.mark.parametrize("name", ["policy-create", "policy-create-preview"])
def test_a_viewer_creates_none(cluster: Cluster, bobs: Browser, name: str) -> None:
    assert bobs.open(name, cluster.pk).status_code == 403
    assert bobs.send(name, cluster.pk, **TYPED).status_code == 403
    assert not BackupPolicy.objects.exists()


def test_a_viewer_changes_none(policy: BackupPolicy, bobs: Browser) -> None:
    assert bobs.open("policy-edit", policy.pk).status_code == 403
    assert bobs.send("policy-edit", policy.pk, **TYPED).status_code == 403
    assert last_entry() == ("UpdateBackupPolicy", "REFUSED", policy.pk)


def test_a_foreign_policy_is_not_found(policy: BackupPolicy, charlies: Browser) -> None:
    charlies.organization = "other"
    for name in ("policy-edit", "policy-preview"):
        assert charlies.open(name, policy.pk).status_code == 404
        assert charlies.send(name, policy.pk, **TYPED).status_code == 404


def test_a_deleted_clusters_policies_are_changed_no_more(
    policy: BackupPolicy, alices: Browser
) -> None:
    Cluster.objects.update(status="DELETED")
    answer = alices.send("policy-edit", policy.pk, **TYPED)
    assert answer.status_code == 400
    assert "It cannot be changed" in shown(answer)


def know(policy: BackupPolicy, *names: str) -> None:
    record_scan(policy.cluster, {"default": list(names)})


NOW = TYPED | {"retention_count": "2"}


@pytest.mark.parametrize("change", [CHOSEN, {"db_name": "films"}], ids=["chosen", "database"])
def test_a_choice_that_leaves_collections_uncovered_first_names_them(
    policy: BackupPolicy, alices: Browser, change: dict[str, object]
) -> None:
    know(policy, "images", "texts")
    answer = alices.send("policy-edit", policy.pk, **NOW | change)
    policy.refresh_from_db()
    assert (answer.status_code, policy.db_name, policy.collection_names) == (409, "default", [])
    assert "<li>texts " in shown(answer)
    assert ("<li>images " in shown(answer)) == ("db_name" in change)


def test_collections_that_would_be_uncovered_can_be_confirmed(
    policy: BackupPolicy, alices: Browser
) -> None:
    know(policy, "images", "texts")
    asked = shown(alices.send("policy-edit", policy.pk, **NOW | CHOSEN))
    mark = re.search(r'name="confirmed" value="(\w+)"', asked)
    assert mark is not None
    assert "1 collection would be uncovered" in asked
    alices.send("policy-edit", policy.pk, **NOW | CHOSEN, confirmed=mark[1])
    policy.refresh_from_db()
    assert policy.collection_names == ["images"]


def test_backups_and_collections_that_would_be_lost_are_on_one_page(
    policy: BackupPolicy, alices: Browser
) -> None:
    know(policy, "images", "texts")
    old, _ = back_up(policy), back_up(policy)
    asked = shown(alices.send("policy-edit", policy.pk, **NOW | CHOSEN | {"retention_count": "1"}))
    assert old.name in asked
    assert "<li>texts " in asked


def test_what_another_policy_covers_is_no_reason_to_ask(
    policy: BackupPolicy, make_policy: MakePolicy, alices: Browser
) -> None:
    know(policy, "images", "texts")
    make_policy(collection_names=["texts"])
    assert alices.send("policy-edit", policy.pk, **NOW | CHOSEN).status_code == 302


def test_a_paused_policy_covers_nothing_that_could_be_lost(
    policy: BackupPolicy, alices: Browser
) -> None:
    know(policy, "images", "texts")
    services.pause_policy(policy)
    assert alices.send("policy-edit", policy.pk, **NOW | CHOSEN).status_code == 302
