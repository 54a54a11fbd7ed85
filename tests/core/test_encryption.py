from __future__ import annotations

from typing import Any

import pytest

from vbase_console.core.encryption import decrypt, derived_key, encrypt
from vbase_console.core.errors import FailedPrecondition


def test_what_was_sealed_comes_back() -> None:
    assert decrypt(encrypt("root:secret")) == "root:secret"


def test_a_sealed_text_shows_nothing_and_is_never_the_same_twice() -> None:
    assert "secret" not in encrypt("secret")
    assert encrypt("secret") != encrypt("secret")


def test_it_says_so_when_the_secret_key_has_changed(settings: Any) -> None:
    sealed = encrypt("secret")
    settings.SECRET_KEY = "another secret key than before"
    with pytest.raises(FailedPrecondition, match="encrypted with another key"):
        decrypt(sealed)


def test_it_refuses_a_text_that_was_tampered_with() -> None:
    sealed = encrypt("secret")
    with pytest.raises(FailedPrecondition):
        decrypt(sealed[:-4] + "AAA=")


def test_every_purpose_has_a_key_of_its_own() -> None:
    assert derived_key("cluster control") != derived_key("fields")
    assert derived_key("fields") == derived_key("fields")
    assert len(derived_key("fields")) == 32
