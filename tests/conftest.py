"""What several rooms' tests share."""

import pytest

import train


@pytest.fixture
def eager(monkeypatch):
    """Trainings do not trace the network, which takes longer than a few steps of a narrow one."""
    compiled = train.compiled

    def untraced(*arguments):
        network = compiled(*arguments)
        network.run_eagerly = True
        return network

    monkeypatch.setattr(train, "compiled", untraced)
