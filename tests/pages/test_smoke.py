from __future__ import annotations

from django.urls import reverse


def test_all(make_cluster, signed_in, alice, work, api_key, driver):
    a = make_cluster("alpha", labels={"env": "prod"})
    b = make_cluster("beta", running=False)
    from vbase_console.organizations.models import ApiKey, Membership
    from vbase_console.tasks.models import Task

    c = signed_in(alice)
    t = Task.objects.first()
    for cl in (a, b):
        for n in [
            "detail",
            "progress",
            "token",
            "token-rotate",
            "edit",
            "scale",
            "upgrade",
            "restart",
            "stop",
            "start",
            "delete",
            "task-list",
        ]:
            r = c.get(reverse("cluster-" + n, args=["acme", cl.pk]))
            assert r.status_code in (200, 302), (n, r.status_code)
            r = c.get(reverse("cluster-" + n, args=["acme", cl.pk]), headers={"HX-Request": "true"})
            assert r.status_code in (200, 302), (n, r.status_code)
    for n in [
        "overview",
        "cluster-list",
        "cluster-create",
        "task-list",
        "activity-list",
        "membership-list",
        "membership-create",
        "api-key-list",
        "api-key-create",
    ]:
        r = c.get(reverse(n, args=["acme"]))
        assert r.status_code == 200
        r = c.get(reverse(n, args=["acme"]), headers={"HX-Request": "true"})
        assert r.status_code == 200
    for n in ["detail", "progress", "cancel", "retry"]:
        r = c.get(reverse("task-" + n, args=["acme", t.task_id]))
        assert r.status_code in (200, 302)
        r = c.get(reverse("task-" + n, args=["acme", t.task_id]), headers={"HX-Request": "true"})
        assert r.status_code == 200
    k = ApiKey.objects.get()
    m = Membership.objects.get()
    assert c.get(reverse("api-key-revoke", args=["acme", k.prefix])).status_code == 200
    for n in ["role", "invite", "remove"]:
        assert c.get(reverse("membership-" + n, args=["acme", m.pk])).status_code == 200
    assert c.get("/").status_code == 302
    assert c.get(reverse("organization-list")).status_code == 200
    assert c.get(reverse("password-change")).status_code == 200
    c.logout()
    assert c.get("/sign-in").status_code == 200
