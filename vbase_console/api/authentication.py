from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from vbase_console.core.client_address import network_of
from vbase_console.core.errors import Unauthenticated
from vbase_console.organizations.authentication import principal_of_key
from vbase_console.organizations.rejected_keys import rejected_keys
from vbase_console.organizations.tenancy import Principal

if TYPE_CHECKING:
    from rest_framework.views import APIView  # imports this module while it is loaded

SCHEME = "Bearer"
TOO_MANY = (
    "Too many wrong API keys from your address, and this one is wrong, revoked or expired as well. "
    "Send a valid key, which is accepted at once."
)


class ApiKeyAuthentication(BaseAuthentication):
    """Authentication by `Authorization: Bearer <key>`. `request.auth` is the principal; there is no
    user.
    """

    def authenticate(self, request: Request) -> tuple[None, Principal] | None:
        header = get_authorization_header(request)
        if not header:
            return None
        scheme, _, key = header.partition(b" ")
        try:
            if scheme.lower() != SCHEME.lower().encode() or not key.isascii():
                raise Unauthenticated
            return None, principal_of_key(key.strip().decode())
        except Unauthenticated as error:
            # Exceptions of the framework, so that it does not authenticate a second time.
            wait = rejected_keys.add(network_of(request))
            if wait is not None:
                raise Throttled(wait, TOO_MANY) from error
            raise AuthenticationFailed(error.message) from error

    def authenticate_header(self, request: Request) -> str:
        return SCHEME


class HasScope(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        principal = request.auth
        if not isinstance(principal, Principal):
            raise Unauthenticated
        scope = getattr(view, "required_scope", None)
        if scope is not None:
            principal.require(scope)
        return True
