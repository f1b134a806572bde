"""The made-up trail of the backtest's yardstick is read the same in each of its forms, and something comes of it."""

from pathlib import Path

from benchmarks.backtest import FORMS, measure, write


def test_every_form_of_the_made_up_trail_says_the_same(tmp_path: Path) -> None:
    found = []
    for form in FORMS:
        folder = tmp_path / form
        folder.mkdir()
        assert write(folder, form, 3000, 60, 0.5) > 0
        found.append({key: value for key, value in measure(folder).items() if key not in {"seconds", "cpu", "peak_mb"}})
    assert found[0] == found[1]
    assert found[0]["records"] == 3000
    assert found[0]["findings"] > 0
    assert found[0]["retired"] > 0
