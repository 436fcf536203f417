"""A class of one's own, from the corpus to predictions."""

import json

from iemocap_tree import tiny_plan, write_tree

QUICK = ["--set", "train.epochs=2", "--set", "train.lr=0.01"]
FOUR = ["neutral", "happiness", "sadness", "anger"]


def test_other_is_kept_through_all_commands(ser, run_quietly, tmp_path):
    root, data, other = tmp_path / "IEMOCAP_full_release", tmp_path / "data", tmp_path / "other"
    write_tree(root, tiny_plan())
    prepared = ["prepare", "iemocap", root, "--features", "lld,words", "--jobs", 1]
    shown = ser(*prepared, "--out", data, "--labels", "other=frustration,surprise")
    assert "frustration" in shown.out
    refused = ser(*prepared, "--out", data)
    assert 'labels was "other=frustration,surprise", now "four"' in refused.err
    for name in ("acoustic-lld", "linguistic"):
        run_quietly("train", "-m", name, "--data", data, "--out", tmp_path / name, *QUICK)
    sides = ["-a", tmp_path / "acoustic-lld", "-l", tmp_path / "linguistic"]
    run_quietly("ensemble", *sides, "--rule", "average", "--data", data, "--out", tmp_path / "both")
    found = json.loads(ser("evaluate", *sides, "-e", tmp_path / "both", "--json").out)
    assert [system["labels"] for system in found["systems"]] == [[*FOUR, "other"]] * 3
    clip = next(root.rglob("Ses01F_impro01*.wav"))
    (predicted, *_) = ser("predict", clip, "--model", tmp_path / "both", "--no-asr", "--json").out.splitlines()
    assert list(json.loads(predicted)["probs"]) in ([*FOUR, "other"], [])

    run_quietly(*prepared, "--out", other, "--labels", "other=surprise")
    noted = ser("evaluate", *sides, "--data", other)
    assert (
        "Classes may differ in meaning: trained with --labels other=frustration,surprise, scored on other=surprise."
        in noted.err
    )
