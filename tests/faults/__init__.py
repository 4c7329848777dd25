"""The rows of the fault matrix, by what fails; tests/test_fault_matrix.py runs them."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{path.stem}" for path in Path(__file__).parent.glob("[a-z]*.py")))
