from __future__ import annotations

import math
import re

from vbase_console.core import ids


def test_an_id_says_what_it_names() -> None:
    assert re.fullmatch(r"svc-[0-9a-hjkmnp-tv-z]{16}", ids.new_service_id())
    assert re.fullmatch(r"vc-[0-9a-hjkmnp-tv-z]{16}", ids.new_cluster_id())


def test_an_id_holds_at_least_sixty_random_bits() -> None:
    assert len(set(ids.ALPHABET)) == len(ids.ALPHABET)
    assert math.log2(len(ids.ALPHABET)) * ids.LENGTH >= 60


def test_ids_do_not_repeat() -> None:
    assert len({ids.new_id("task") for _ in range(10_000)}) == 10_000
