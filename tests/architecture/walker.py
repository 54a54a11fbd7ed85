"""Request every address as a visitor without the right to it, and list every answer that grants
access.

The walker knows no single views: a new route is walked from the day on which it is added.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import HttpResponse

from tests.architecture.cast import VALUES, Cast, values_of
from tests.architecture.routes import CHANGING, METHODS, Route, all_routes

# Route → why a visitor without a session or key may call it.
OPEN: dict[str, str] = {
    "/v1/vbase/healthz": "documented to be open; it answers with no tenant's data",
    "/sign-in": "it starts the session",
    "/welcome/<uidb64>/<token>": "the one-time token in the address proves the invitation",
    "/sign-out": "a visitor without a session loses nothing",
    "/appearance": "light or dark, kept in a cookie of the browser",
    "/admin/login/": "it starts the session",
    "/api/schema/": "the description of the API, the same for all",
    "/api/docs/": "the description of the API, the same for all",
    "/api/docs": "leads to the address above",
    "/admin": "leads to the admin, which requires a session",
}
# Route → why every member and every key may do it.
FOR_EVERY_MEMBER: dict[str, str] = {
    "/v1/vbase/me": "a key may ask what it is",
    "/v1/vbase/search": "it finds only kinds that the key may list",
}
# Route → why the stranger may be answered: nothing in the address or the answer is Alice's.
ABOUT_THE_CALLER: dict[str, str] = {
    "/v1/vbase/me": "a key may ask what it is",
    "/v1/vbase/search": "it finds only what belongs to the key's own organization",
    "/v1/vbase/rollouts": "it lists the rollouts of the key's own organization; a cluster of "
    "another one is refused in tests/clusters/api/test_rollouts.py",
}
# Page of an organization → why a viewer may read it. To all others only a higher role leads.
RUNNING, PROTECTED = "what runs, and how it goes", "what is protected, and by what"
READ_BY_VIEWERS: dict[str, str] = {
    f"/o/<slug:organization>/{page}": reason
    for reason, pages in {
        "every member sees the activity": ["activity"],
        "what a viewer can list anyway": ["search"],
        RUNNING: [
            "",
            "clusters",
            "clusters/<slug:cluster_id>",
            "clusters/<slug:cluster_id>/collection",
            "clusters/<slug:cluster_id>/collections",
            "clusters/<slug:cluster_id>/collections/summary",
            "clusters/<slug:cluster_id>/operations",
            "clusters/<slug:cluster_id>/tasks",
            "operations",
            "rollouts",
            "rollouts/<slug:rollout_id>",
            "tasks",
            "tasks/<slug:task_id>",
        ],
        PROTECTED: [
            "protection",
            "backups",
            "backups/<str:backup_name>",
            "clusters/<slug:cluster_id>/backups",
            "clusters/<slug:cluster_id>/backups/newest",
            "clusters/<slug:cluster_id>/jobs",
            "clusters/<slug:cluster_id>/policies",
            "jobs",
            "jobs/<slug:job_id>",
            "policies",
            "policies/<slug:policy_id>",
            "policies/<slug:policy_id>/backups",
            "policies/<slug:policy_id>/runs",
        ],
    }.items()
    for page in pages
}
READ_BY_VIEWERS["/o/<slug:organization>"] = RUNNING
# Route without parts → a body that would be taken, so that its `organizationId` decides.
BODIES: dict[str, dict[str, Any]] = {
    "/v1/vbase/clusters": {"name": "walker"},
}
# Route → a query that would be taken.
QUERIES: dict[str, str] = {
    "/v1/vbase/search": "q=cluster",
}
# Route → why even its owner does not find it here.
NOT_FOUND_BY_THE_OWNER: dict[str, str] = {
    "/v1/vbase/<str:service_id>/backup/<str:backup_name>/download": "the cast's backup has no "
    "archive; tests/backups/test_download.py downloads one",
}
MISSING = (
    "{route}: '{place}' of an address has no value. Add it to VALUES in "
    "tests/architecture/cast.py, with the object of a tenant that it names."
)


def send(cast: Cast, visitor: str, route: Route, method: str, address: str) -> HttpResponse:
    client = cast.visitors[visitor].at(route.interface)
    if route.interface == "API" and method in CHANGING:
        body = BODIES.get(route.pattern, {})
        if not route.places:
            body = body | {"organizationId": str(cast.mine.organization.pk)}
        return client.generic(method, address, json.dumps(body), content_type="application/json")  # type: ignore[return-value]
    query = QUERIES.get(route.pattern, "")
    return client.generic(method, address, QUERY_STRING=query)  # type: ignore[return-value]


def unknown_places() -> list[str]:
    guarded = [route for route in all_routes() if route.pattern not in OPEN]
    missing = {(route, place) for route in guarded for place in route.places if place not in VALUES}
    return sorted(MISSING.format(route=route, place=place) for route, place in missing)


@dataclasses.dataclass(frozen=True)
class Answer:
    """Response of an address to a visitor, without its request and contexts: thousands are kept."""

    visitor: str
    route: Route
    method: str
    address: str
    status: int
    location: str
    body: bytes

    @classmethod
    def of(cls, visitor: str, route: Route, method: str, address: str, response: Any) -> Answer:
        body = b"".join(response.streaming_content) if response.streaming else response.content
        location = response.get("Location", "")
        return cls(visitor, route, method, address, response.status_code, location, body)

    @property
    def is_turned_away(self) -> bool:
        """True for 401 or a redirect to the sign-in, as without a session."""
        if self.route.interface == "API":
            return self.status == 401
        sign_ins = ("/admin/",) if self.route.interface == "ADMIN" else ("/sign-in",)
        return self.status == 405 or (self.status == 302 and self.location.startswith(sign_ins))

    def holds(self, text: str) -> bool:
        return text.encode() in self.body

    def __str__(self) -> str:
        return f"{self.method} {self.address} answers {self.visitor} with {self.status}."


# The walks


def walk_of_a_stranger(cast: Cast) -> list[Answer]:
    """Charlie at every address that has something of Alice's in it."""
    return [
        answer
        for route in walked("API", "ORGANIZATION", "PERSON")
        for values in _mixtures(route, cast)
        for answer in _answers(cast, "stranger", route, values)
    ]


def walk(
    cast: Cast, visitor: str, *interfaces: str, methods: tuple[str, ...] = METHODS
) -> list[Answer]:
    """Request Alice's addresses of these interfaces, or of all."""
    mine = values_of(cast.mine)
    return [
        answer
        for route in walked(*interfaces)
        for answer in _answers(cast, visitor, route, mine, methods)
    ]


def walked(*interfaces: str) -> list[Route]:
    """All but the open ones, and those that `unknown_places` complains about."""
    guarded = [route for route in all_routes() if route.pattern not in OPEN]
    return [
        route
        for route in guarded
        if set(route.places) <= set(VALUES) and (not interfaces or route.interface in interfaces)
    ]


def _answers(
    cast: Cast,
    visitor: str,
    route: Route,
    values: Mapping[str, str],
    methods: tuple[str, ...] = METHODS,
) -> Iterator[Answer]:
    address = route.address(values)
    for method in methods:
        response = send(cast, visitor, route, method, address)
        yield Answer.of(visitor, route, method, address, response)


def _mixtures(route: Route, cast: Cast) -> Iterator[dict[str, str]]:
    """Addresses with an object of Alice's: all parts, and each part alone among Charlie's own. A
    part that is the same for both belongs to neither.
    """
    mine, theirs = values_of(cast.mine), values_of(cast.theirs)
    yield mine
    owned = [place for place in route.places if mine[place] != theirs[place]]
    if len(owned) > 1:
        yield from (theirs | {place: mine[place]} for place in owned)


# The judgements: what is wrong with the answers


def let_in(answers: list[Answer]) -> list[str]:
    """Answers to a stranger that are not a plain 'there is nothing here'."""
    return [
        str(answer)
        for answer in answers
        if answer.route.interface in ("API", "ORGANIZATION")
        and answer.route.pattern not in ABOUT_THE_CALLER
        and answer.status not in (404, 405)
    ]


def let_act(answers: list[Answer]) -> list[str]:
    """Answers other than 403 to a member without the right: to a key without scopes whatever it
    asks for, to a viewer who changes something.
    """
    return [
        str(answer)
        for answer in answers
        if answer.route.interface in ("API", "ORGANIZATION")
        and answer.route.pattern not in FOR_EVERY_MEMBER
        and answer.status not in (403, 405)
        and (answer.route.interface == "API" or answer.method in CHANGING)
    ]


def shown_otherwise_than_agreed(answers: list[Answer]) -> list[str]:
    """Pages that answer a viewer although READ_BY_VIEWERS does not name them, or the reverse."""
    return [
        str(answer)
        for answer in answers
        if answer.route.interface == "ORGANIZATION" and answer.method in ("GET", "HEAD")
        if (answer.status in (403, 405)) == (answer.route.pattern in READ_BY_VIEWERS)
    ]


def not_turned_away(answers: list[Answer]) -> list[str]:
    return [str(answer) for answer in answers if not answer.is_turned_away]


def shown_the_token(answers: list[Answer], cast: Cast) -> list[str]:
    """Addresses that show what opens Alice's cluster."""
    return [
        f"{answer.address} shows {answer.visitor} an access token."
        for answer in answers
        if answer.method == "GET" and answer.holds(cast.mine.cluster.token)
    ]


def hidden(answers: list[Answer]) -> list[str]:
    """Addresses that even Alice does not find: there a walk of others would prove nothing."""
    return [
        str(answer)
        for answer in answers
        if answer.status not in (200, 302, 405)
        and answer.route.pattern not in NOT_FOUND_BY_THE_OWNER
    ]
