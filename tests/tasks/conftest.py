from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.tasks.trials import KIND, Trial
from vbase_console.organizations.models import Organization
from vbase_console.tasks import registry
from vbase_console.tasks.models import Task
from vbase_console.tasks.services import enqueue

Ask = Callable[..., Task]


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Trial:
    own = Trial()
    monkeypatch.setitem(registry._jobs, KIND, own.job())
    return own


@pytest.fixture
def ask(transactional_db: None, trial: Trial, organization: Organization) -> Ask:
    """Accept a trial."""

    def ask(**fields: object) -> Task:
        given = {"kind": KIND, "subject_id": "it", "requested_by": "alice"} | fields
        return enqueue(organization_id=organization.pk, **given)  # type: ignore[arg-type]

    return ask
