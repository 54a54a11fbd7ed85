from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from vbase_console.organizations.views import api_keys, home, members, settings, sign_in

organization_urlpatterns = [
    path("settings", settings.OrganizationSettingsView.as_view(), name="organization-settings"),
    path("members", members.MembershipListView.as_view(), name="membership-list"),
    path("members/add", members.MembershipCreateView.as_view(), name="membership-create"),
    path(
        "members/<int:membership_id>/role",
        members.MembershipRoleView.as_view(),
        name="membership-role",
    ),
    path(
        "members/<int:membership_id>/invite",
        members.MembershipInviteView.as_view(),
        name="membership-invite",
    ),
    path(
        "members/<int:membership_id>/remove",
        members.MembershipRemoveView.as_view(),
        name="membership-remove",
    ),
    path("api-keys", api_keys.ApiKeyListView.as_view(), name="api-key-list"),
    path("api-keys/new", api_keys.ApiKeyCreateView.as_view(), name="api-key-create"),
    path(
        "api-keys/<slug:prefix>/revoke",
        api_keys.ApiKeyRevokeView.as_view(),
        name="api-key-revoke",
    ),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.HomeView.as_view(), name="home"),
    path("sign-in", sign_in.SignInView.as_view(), name="sign-in"),
    path("sign-out", sign_in.SignOutView.as_view(), name="sign-out"),
    path("password", sign_in.PasswordChangeView.as_view(), name="password-change"),
    path("welcome/<uidb64>/<token>", sign_in.PasswordSetView.as_view(), name="password-set"),
    path("appearance", home.AppearanceView.as_view(), name="appearance"),
    path(
        "organizations/new", settings.OrganizationCreateView.as_view(), name="organization-create"
    ),
    path("organizations", home.OrganizationListView.as_view(), name="organization-list"),
    path("o/<slug:organization>/", include(organization_urlpatterns)),
]
