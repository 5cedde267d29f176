from __future__ import annotations

import pytest

from preventable.termination import Terminated, arrived, termination_waits


def test_a_signal_ends_what_runs() -> None:
    with pytest.raises(Terminated):
        arrived()


def test_a_signal_waits_for_the_end_of_the_outermost_block() -> None:
    done = []

    def nested() -> None:
        with termination_waits():
            with termination_waits():
                arrived()
                done.append("inner")
            done.append("outer")

    with pytest.raises(Terminated):
        nested()
    assert done == ["inner", "outer"]
    with termination_waits():
        done.append("nothing is left of it")
    assert len(done) == 3


def test_a_signal_that_waited_is_not_lost_to_an_error() -> None:
    def wrong() -> None:
        with termination_waits():
            arrived()
            raise KeyError

    with pytest.raises(Terminated) as found:
        wrong()
    assert isinstance(found.value.__context__, KeyError)
    with termination_waits():
        pass
