"""Knock at every address as somebody who should not get in, and list every answer that lets them.

The judgements know nothing of single views: a route that somebody adds is walked the day it is
added.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import HttpResponse

from tests.architecture.cast import VALUES, Cast, values_of
from tests.architecture.routes import CHANGING, METHODS, Route, all_routes

# Route → why nobody needs to be anybody there.
OPEN: dict[str, str] = {
    "/v1/vbase/healthz": "documented to be open; it answers with no tenant's data",
    "/sign-in": "the door itself",
    "/welcome/<uidb64>/<token>": "who was invited proves it with the one-time token in the address",
    "/sign-out": "whoever is nobody already loses nothing",
    "/appearance": "light or dark, kept in a cookie of the browser",
    "/admin/login/": "the door itself",
    "/api/schema/": "the description of the API, the same for everybody",
    "/api/docs/": "the description of the API, the same for everybody",
}
# Route → why every member and every key may do it.
FOR_EVERY_MEMBER: dict[str, str] = {
    "/v1/vbase/me": "a key may ask what it is",
}
# Route → why the stranger may be answered: nothing in the address or the answer is Alice's.
ABOUT_WHOEVER_ASKS: dict[str, str] = {
    "/v1/vbase/me": "a key may ask what it is",
}
# Page of an organization → why a viewer may read it. To all others only a higher role leads.
RUNNING, PROTECTED = "what runs, and how it goes", "what is protected, and by what"
READ_BY_VIEWERS: dict[str, str] = {
    f"/o/<slug:organization>/{page}": reason
    for reason, pages in {
        "who did what: whoever works here can see it": ["activity"],
        RUNNING: [
            "",
            "clusters",
            "clusters/<slug:cluster_id>",
            "clusters/<slug:cluster_id>/progress",
            "clusters/<slug:cluster_id>/tasks",
            "tasks",
            "tasks/<slug:task_id>",
            "tasks/<slug:task_id>/progress",
        ],
        PROTECTED: [
            "protection",
            "backups",
            "backups/<str:backup_name>",
            "backups/<str:backup_name>/progress",
            "clusters/<slug:cluster_id>/backups",
            "clusters/<slug:cluster_id>/backups/newest",
            "clusters/<slug:cluster_id>/jobs",
            "clusters/<slug:cluster_id>/policies",
            "jobs",
            "jobs/<slug:job_id>",
            "jobs/<slug:job_id>/progress",
            "policies",
            "policies/<slug:policy_id>",
            "policies/<slug:policy_id>/backups",
            "policies/<slug:policy_id>/progress",
            "policies/<slug:policy_id>/runs",
        ],
    }.items()
    for page in pages
}
# Route without parts → a body that would be taken, so that its `organizationId` decides.
BODIES: dict[str, dict[str, Any]] = {
    "/v1/vbase/clusters": {"name": "walker"},
}
MISSING = (
    "{route}: nobody told the walker what stands for '{place}' in an address. Add it to VALUES in "
    "tests/architecture/cast.py, with the object of a tenant that it names."
)


def knock(cast: Cast, visitor: str, route: Route, method: str, address: str) -> HttpResponse:
    client = cast.visitors[visitor].at(route.door)
    if route.door == "API" and method in CHANGING:
        body = BODIES.get(route.pattern, {})
        if not route.places:
            body = body | {"organizationId": str(cast.mine.organization.pk)}
        return client.generic(method, address, json.dumps(body), content_type="application/json")  # type: ignore[return-value]
    return client.generic(method, address)  # type: ignore[return-value]


def unknown_places() -> list[str]:
    guarded = [route for route in all_routes() if route.pattern not in OPEN]
    missing = {(route, place) for route in guarded for place in route.places if place not in VALUES}
    return sorted(MISSING.format(route=route, place=place) for route, place in missing)


def let_strangers_in(cast: Cast) -> list[str]:
    """Answers to Charlie that are not a plain 'there is nothing here'."""
    return [
        _complaint("a stranger", method, address, response)
        for route in walked()
        if route.door in ("API", "ORGANIZATION") and route.pattern not in ABOUT_WHOEVER_ASKS
        for values in _mixtures(route, cast)
        for method, address, response in _answers(cast, "stranger", route, values)
        if response.status_code not in (404, 405)
    ]


def let_viewers_act(cast: Cast) -> list[str]:
    """Answers other than 403 to a member without the right: to a key without scopes whatever it
    asks for, to a viewer who changes something.
    """
    return [
        _complaint("a member without the right", method, address, response)
        for route in walked()
        if route.door in ("API", "ORGANIZATION") and route.pattern not in FOR_EVERY_MEMBER
        for method, address, response in _answers(cast, "viewer", route, values_of(cast.mine))
        if response.status_code not in (403, 405) and (route.door == "API" or method in CHANGING)
    ]


def show_viewers_more_than_agreed(cast: Cast) -> list[str]:
    """Pages that answer a viewer although READ_BY_VIEWERS does not name them, or the reverse."""
    return [
        _complaint("a viewer", method, address, response)
        for route in walked()
        if route.door == "ORGANIZATION"
        for method, address, response in _answers(
            cast, "viewer", route, values_of(cast.mine), ("GET", "HEAD")
        )
        if (response.status_code in (403, 405)) == (route.pattern in READ_BY_VIEWERS)
    ]


def let_nobody_in(cast: Cast) -> list[str]:
    """Answers to somebody without key or session that are neither 401 nor the way to a sign-in."""
    return [
        _complaint("nobody", method, address, response)
        for route in walked()
        for method, address, response in _answers(cast, "nobody", route, values_of(cast.mine))
        if not _turned_away(route, response)
    ]


def let_members_into_the_admin(cast: Cast) -> list[str]:
    return [
        _complaint("a member who is no staff", method, address, response)
        for route in walked()
        if route.door == "ADMIN"
        for method, address, response in _answers(cast, "owner", route, values_of(cast.mine))
        if not _turned_away(route, response)
    ]


def show_the_token(cast: Cast) -> list[str]:
    """Addresses that show what opens Alice's cluster to a viewer or to a stranger."""
    return [
        f"{address} shows {visitor} an access token."
        for visitor in ("viewer", "stranger")
        for route in walked()
        for _, address, response in _answers(cast, visitor, route, values_of(cast.mine), ("GET",))
        if cast.mine.cluster.token.encode() in _body(response)
    ]


def hide_from_the_owner(cast: Cast) -> list[str]:
    """Addresses that even Alice does not find: there the walk above would prove nothing."""
    return [
        _complaint("the owner", method, address, response)
        for route in walked()
        if route.door in ("API", "ORGANIZATION")
        for method, address, response in _answers(
            cast, "owner", route, values_of(cast.mine), ("GET",)
        )
        if response.status_code not in (200, 302, 405)
    ]


def walked() -> list[Route]:
    """All but the open ones, and those that `unknown_places` complains about."""
    guarded = [route for route in all_routes() if route.pattern not in OPEN]
    return [route for route in guarded if set(route.places) <= set(VALUES)]


def _answers(
    cast: Cast,
    visitor: str,
    route: Route,
    values: Mapping[str, str],
    methods: tuple[str, ...] = METHODS,
) -> Iterator[tuple[str, str, HttpResponse]]:
    address = route.address(values)
    for method in methods:
        yield method, address, knock(cast, visitor, route, method, address)


def _mixtures(route: Route, cast: Cast) -> Iterator[dict[str, str]]:
    """Addresses with something of Alice's in them: all parts, and each part alone among Charlie's
    own.
    """
    mine, theirs = values_of(cast.mine), values_of(cast.theirs)
    yield mine
    if len(route.places) > 1:
        yield from (theirs | {place: mine[place]} for place in route.places)


def _turned_away(route: Route, response: HttpResponse) -> bool:
    if route.door == "API":
        return response.status_code == 401
    doors = ("/admin/",) if route.door == "ADMIN" else ("/sign-in",)
    if response.status_code == 405:
        return True
    return response.status_code == 302 and response["Location"].startswith(doors)


def _complaint(who: str, method: str, address: str, response: HttpResponse) -> str:
    return f"{method} {address} answers {who} with {response.status_code}."


def _body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content
