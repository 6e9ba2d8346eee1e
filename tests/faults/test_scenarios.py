"""Runs the quick scenarios of scripts/faults with a shorter deadline."""

import pytest

from faults import registry
from faults.context import ScenarioContext
from faults.registry import Scenario
from harness.postgresql import DatabaseServer

QUICK = [one for one in registry.load_scenarios() if one.quick]


@pytest.mark.parametrize("one", QUICK, ids=lambda one: one.name)
def test_the_service_withstands_the_fault(one: Scenario, postgresql: DatabaseServer) -> None:
    with ScenarioContext(postgresql, deadline=0.7) as context:
        outcome = one.run(context)
    assert outcome.held, outcome.figures
