"""The quick ones of the scenarios that scripts/faults plays, with shorter deadlines."""

import pytest

from faults import registry
from faults.registry import Scenario
from faults.stage import Stage
from harness.postgresql import DatabaseServer

QUICK = [one for one in registry.load() if one.quick]


@pytest.mark.parametrize("one", QUICK, ids=lambda one: one.name)
def test_the_service_withstands_the_fault(one: Scenario, postgresql: DatabaseServer) -> None:
    with Stage(postgresql, deadline=0.7) as stage:
        seen = one.run(stage)
    assert seen.held, seen.figures
