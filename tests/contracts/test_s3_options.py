"""The `VBASE_S3_*` variables as the options of a store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backups.stores import load_store
from backups.stores.s3 import S3Store
from backups.stores.s3_options import S3Options, options_of

Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: Patch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith(("VBASE_S3_", "AWS_"))]:
        monkeypatch.delenv(name)


def options(url: str = "s3://bucket/prefix") -> S3Options:
    return options_of(urlsplit(url))


def test_aws_needs_no_endpoint() -> None:
    found = options()
    assert (found.bucket, found.prefix, found.url) == ("bucket", "prefix", "s3://bucket/prefix")
    assert (found.endpoint, found.path_style) == (
        "https://bucket.s3.us-east-1.amazonaws.com",
        False,
    )
    assert (found.allow_http, found.credentials) == (False, None)


def test_another_region_has_another_endpoint(monkeypatch: Patch) -> None:
    monkeypatch.setenv("VBASE_S3_REGION", "cn-north-1")
    assert options().endpoint == "https://bucket.s3.cn-north-1.amazonaws.com.cn"


def test_an_endpoint_has_the_bucket_in_its_path(monkeypatch: Patch) -> None:
    monkeypatch.setenv("VBASE_S3_ENDPOINT", "https://store.example.com:9000/")
    assert (options().endpoint, options().path_style) == ("https://store.example.com:9000", True)


def test_an_endpoint_may_have_the_bucket_in_its_host(monkeypatch: Patch) -> None:
    monkeypatch.setenv("VBASE_S3_ENDPOINT", "https://store.example.com:9000")
    monkeypatch.setenv("VBASE_S3_PATH_STYLE", "false")
    assert options().endpoint == "https://bucket.store.example.com:9000"


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "[::1]:9000", "localhost"])
def test_http_is_allowed_on_loopback(monkeypatch: Patch, host: str) -> None:
    monkeypatch.setenv("VBASE_S3_ENDPOINT", f"http://{host}")
    assert options().allow_http


def test_http_elsewhere_must_be_allowed(monkeypatch: Patch) -> None:
    monkeypatch.setenv("VBASE_S3_ENDPOINT", "http://store.example.com")
    with pytest.raises(ValueError, match="VBASE_S3_ALLOW_HTTP"):
        options()
    monkeypatch.setenv("VBASE_S3_ALLOW_HTTP", "true")
    assert options().allow_http


def test_secrets_may_stand_in_files(monkeypatch: Patch, tmp_path: Path) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        (tmp_path / name).write_text(f"{name} in a file\n")
        monkeypatch.setenv(f"VBASE_S3_{name}_FILE", str(tmp_path / name))
    found = options().credentials
    assert found is not None
    assert found.secret_access_key == "SECRET_ACCESS_KEY in a file"
    assert found.session_token == "SESSION_TOKEN in a file"


def test_the_options_show_no_secret(monkeypatch: Patch) -> None:
    monkeypatch.setenv("VBASE_S3_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("VBASE_S3_SECRET_ACCESS_KEY", "hidden one")
    monkeypatch.setenv("VBASE_S3_SESSION_TOKEN", "hidden two")
    assert "hidden" not in f"{options()!r} {options()}"


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"ACCESS_KEY_ID": "key"}, "must be set together"),
        ({"SECRET_ACCESS_KEY": "hidden"}, "must be set together"),
        ({"SESSION_TOKEN": "hidden"}, "must be set together"),
        ({"ACCESS_KEY_ID": "key", "ACCESS_KEY_ID_FILE": "/x"}, "both set"),
        ({"ACCESS_KEY_ID_FILE": "/no/such/file"}, "cannot be read"),
        ({"ENDPOINT": "store.example.com"}, "VBASE_S3_ENDPOINT must be"),
        ({"ENDPOINT": "https://store.example.com/bucket"}, "without a path"),
        ({"ENDPOINT": "https://key:hidden@store.example.com"}, "VBASE_S3_ENDPOINT must be"),
        ({"ENDPOINT": "ftp://store.example.com"}, "VBASE_S3_ENDPOINT must be"),
        ({"REGION": "us east"}, "VBASE_S3_REGION"),
        ({"PATH_STYLE": "perhaps"}, "VBASE_S3_PATH_STYLE.*true or false"),
        ({"SERVER_SIDE_ENCRYPTION": "rot13"}, "AES256 or aws:kms"),
        ({"KMS_KEY_ID": "key"}, "needs VBASE_S3_SERVER_SIDE_ENCRYPTION"),
        ({"STORAGE_CLASS": "cheap one"}, "VBASE_S3_STORAGE_CLASS"),
        ({"STORAGE_CLASS": "DEEP_ARCHIVE"}, "cannot be read at once"),
    ],
)
def test_a_wrong_value_is_named_and_no_secret_is_told(
    monkeypatch: Patch, variables: dict[str, str], problem: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"VBASE_S3_{name}", value)
    with pytest.raises(ValueError, match=problem) as refused:
        options()
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        *[
            "s3://",
            "s3:///prefix",
            "s3://B",
            "s3://bucket:9000/x",
            "s3://bucket?x",
            "s3://bucket#x",
        ],
        *["s3://key:hidden@bucket", "s3://bucket/a/../b", "s3://bucket/a//b", "s3://bucket/.x"],
        *["s3://bucket/a%00b", "s3://bucket/a b"],
    ],
)
def test_a_url_that_names_no_part_of_a_bucket_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="S3 URL") as refused:
        options(url)
    assert "hidden" not in str(refused.value)


def test_variables_of_other_programs_change_nothing(monkeypatch: Patch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://elsewhere.example.com")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere.example.com")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    store = load_store("s3://bucket")
    assert isinstance(store, S3Store)
    assert dict(store.client.config)["endpoint"] == "https://bucket.s3.us-east-1.amazonaws.com"
