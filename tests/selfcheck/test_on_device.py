"""The check of a device: it runs on the CPU too, and says what it found."""

import json
from pathlib import Path

import pytest

from tests.selfcheck import on_device


def test_correct_models_on_a_device_are_not_flagged(tmp_path: Path) -> None:
    """In every style, on the first networks; what was found is in the file."""
    path = tmp_path / "deep" / "styles.json"
    assert on_device.main(["--device", "cpu", "--seconds", "0", "--out", str(path)]) == 0
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["false_alarms"] == 0
    assert found["networks"] > found["wide_networks"] > 0
    assert 0 < found["largest_share_of_a_bound"] <= 1


def test_a_wrong_model_on_a_device_is_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check can fail: outputs that are doubled."""
    right = on_device.torch_styles("cpu")["torch fused"]

    def double(problem, dtype):  # type: ignore[no-untyped-def]
        answers = right(problem, dtype)
        return {**answers, "forward": 2 * answers["forward"]}

    monkeypatch.setattr(on_device, "torch_styles", lambda device: {"doubled": double})
    path = tmp_path / "styles.json"
    assert on_device.main(["--device", "cpu", "--seconds", "0", "--out", str(path)]) == 1
    assert json.loads(path.read_text(encoding="utf-8"))["false_alarms"] > 0


def test_a_device_that_is_not_here_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is judged, nothing is written."""
    path = tmp_path / "styles.json"
    assert on_device.main(["--device", "cuda:99", "--out", str(path)]) == 2
    assert capsys.readouterr().err.startswith("on_device: ")
    assert not path.exists()
