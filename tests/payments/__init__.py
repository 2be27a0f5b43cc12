import pytest

# So that a gateway that breaks the contract is told what was expected and what came.
pytest.register_assert_rewrite("tests.payments.gateway_contract", "tests.payments.capture_contract")
