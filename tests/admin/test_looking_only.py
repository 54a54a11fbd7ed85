"""Everything but the audited actions is for looking."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client, RequestFactory

REGISTERED = sorted(admin.site._registry, key=lambda model: model._meta.label)


def name_of(model: type[Model]) -> str:
    return model._meta.label_lower


@pytest.mark.parametrize("model", REGISTERED, ids=name_of)
def test_it_lets_nobody_add_change_or_delete(model: type[Model], sam: User) -> None:
    request = RequestFactory().get("/admin/")
    request.user = sam
    page = admin.site._registry[model]
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)


@pytest.mark.parametrize("model", REGISTERED, ids=name_of)
def test_it_lists_every_model(model: type[Model], support: Client) -> None:
    page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    assert support.get(page).status_code == 200
    assert support.get(page, {"q": "anything"}).status_code == 200


@pytest.mark.parametrize("model", REGISTERED, ids=name_of)
def test_it_refuses_the_forms_that_change(model: type[Model], support: Client) -> None:
    page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    assert support.post(f"{page}add/", {}).status_code == 403


def test_it_sends_members_of_organizations_to_the_sign_in(client: Client, alice: User) -> None:
    client.force_login(alice)
    answer = client.get("/admin/tasks/task/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


def test_the_sign_in_asks_for_the_name_that_createsuperuser_was_given(client: Client) -> None:
    assert "User name or e-mail" in client.get("/admin/login/").content.decode()


def test_it_shows_nothing_to_staff_without_permissions(client: Client, alice: User) -> None:
    alice.is_staff = True
    alice.save()
    client.force_login(alice)
    assert client.get("/admin/tasks/task/").status_code == 403
