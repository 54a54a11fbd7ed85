"""The people and the backups of the tests of pages."""

from __future__ import annotations

from tests.web.backups.conftest import backup as backup
from tests.web.backups.conftest import cluster as cluster
from tests.web.backups.conftest import sealed as sealed
from tests.web.backups.conftest import store as store
from tests.web.conftest import alices as alices
from tests.web.conftest import bobs as bobs
from tests.web.conftest import browser_of as browser_of
from tests.web.conftest import charlies as charlies
from tests.web.conftest import olgas as olgas
