"""Write the tables of docs/sdk.md: `python -m tests.sdk`."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

from tests.sdk.outcomes import DOCUMENT, document_with, outcomes, staged

if __name__ == "__main__":
    warnings.simplefilter("ignore", FutureWarning)
    logging.disable(logging.ERROR)  # the SDK logs every refusal with a traceback
    with (
        tempfile.TemporaryDirectory() as directory,
        staged(Path(directory) / "data") as stage,
    ):
        DOCUMENT.write_text(document_with(outcomes(stage)))
