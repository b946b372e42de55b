"""A program knows whether a DVC experiment runs it."""

from pathlib import Path

import pytest

from huebands.promotion.experiment import experiment_name


def test_an_experiment_is_recognised_by_dvcs_variable_and_by_its_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    assert experiment_name() is None
    monkeypatch.setenv("DVC_EXP_NAME", "sunny-yak")
    assert experiment_name() == "sunny-yak"
    monkeypatch.delenv("DVC_EXP_NAME")
    copy = tmp_path / ".dvc/tmp/exps/tmpabc"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert experiment_name() == "tmpabc"
