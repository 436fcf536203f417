"""`ser export`: what it refuses, in one line that says what can be exported."""

import pytest

from sercli.pipeline import PRETRAINED


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("average", "is an ensemble, and ser exports its members one by one: give {run}/members/acoustic."),
        ("linguistic", "reads text, and ser exports models that read audio alone; give an acoustic run."),
        (
            "acoustic",
            "torch cannot export the recurrence in 'lstm' for clips of any length; give a run of another architecture, "
            "such as layer-mix or conv-attention.",
        ),
    ],
)
def test_a_run_that_cannot_be_exported_is_refused(ser, demo_runs, tmp_path, run, said):
    folder = getattr(demo_runs, run)
    done = ser("export", folder, "-o", tmp_path / "onnx")
    assert done.code == 2
    assert said.format(run=folder) in done.err
    assert not list(tmp_path.glob("onnx/*"))


def test_another_folder_is_left_alone(ser, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    done = ser("export", PRETRAINED / "members" / "acoustic", "-o", tmp_path)
    assert f"{tmp_path} holds something other than an export; choose another --out." in done.err
