"""A shop that cannot be written says why, and leaves nothing behind."""

from pathlib import Path

import pytest

from pipelines.sample_shop import SampleShopError, write_sample_shop


@pytest.mark.parametrize(("users", "days", "seed"), [(0, 10, 7), (10, 0, 7), (10, 10, -1)])
def test_numbers_out_of_range_are_refused(tmp_path: Path, users: int, days: int, seed: int) -> None:
    with pytest.raises(SampleShopError, match="must be at least"):
        write_sample_shop(tmp_path / "drop", users=users, days=days, seed=seed)
    assert not list(tmp_path.iterdir())


def test_an_unknown_mix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SampleShopError, match="no mix 'village'; there are: city, family"):
        write_sample_shop(tmp_path / "drop", mix="village")


@pytest.mark.parametrize("truth", ["drop", "drop/truth", "."])
def test_the_truth_never_lies_in_the_drop(tmp_path: Path, truth: str) -> None:
    with pytest.raises(SampleShopError, match="must not lie in each other"):
        write_sample_shop(tmp_path / "drop", truth=tmp_path / truth)


def test_a_truth_that_is_there_already_is_kept(tmp_path: Path) -> None:
    (tmp_path / "drop-truth").mkdir()
    (tmp_path / "drop-truth" / "kept.txt").write_text("mine")
    with pytest.raises(SampleShopError, match="drop-truth exists and is not an empty folder"):
        write_sample_shop(tmp_path / "drop")


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(SampleShopError, match="not an empty folder"):
        write_sample_shop(tmp_path)
    assert (tmp_path / "kept.txt").read_text() == "mine"


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "drop").write_text("mine")
    with pytest.raises(SampleShopError, match="not an empty folder"):
        write_sample_shop(tmp_path / "drop")


def test_a_failure_midway_leaves_nothing(tmp_path: Path) -> None:
    def stop(line: str) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt):
        write_sample_shop(tmp_path / "drop", users=1, days=1, on_progress=stop)
    assert not list(tmp_path.iterdir())
