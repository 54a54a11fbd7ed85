from __future__ import annotations

from vbase_console import library_admin as library_admin
