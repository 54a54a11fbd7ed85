"""How Django writes times where nobody chose a format, which is in the admin: as the console's own
pages do, so that support and a tenant can name the same second.
"""

from __future__ import annotations

DATETIME_FORMAT = "Y-m-d H:i:s T"
SHORT_DATETIME_FORMAT = DATETIME_FORMAT
DATE_FORMAT = "Y-m-d"
