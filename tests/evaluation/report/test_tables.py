import csv
import io
import re
from dataclasses import replace

import made_up
import pytest

from sercli.evaluation.report import csv_table, latex
from sercli.evaluation.report.latex import escaped
from sercli.evaluation.report.tables import COLUMNS

MADE = made_up.evaluation(n_systems=3)


def body_rows(text):
    return [line.strip().removesuffix(r" \\").split(" & ") for line in text.splitlines() if line.endswith(r"\\")]


def csv_rows(made):
    return list(csv.DictReader(io.StringIO(csv_table(made))))


def one(rows, **wanted):
    found = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a_b & 50 % #1 $x {y}", r"a\_b \& 50 \% \#1 \$x \{y\}"),
        ("\\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("~^<>|", r"\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}"),
        ("[best] *", "{[}best{]} {*}"),
        ('"best"', "''best''"),  # which every encoding of fonts has
        ("two\nlines\tand\x00more", "two lines and more"),
        ("żal − über –", "żal $-$ über --"),
    ],
)
def test_latex_sets_names_as_they_are(text, safe):
    assert escaped(text) == safe


def test_latex_has_the_results_with_intervals_and_deviations():
    best = MADE.systems[0]
    row = next(row for row in body_rows(latex(MADE)) if row[0] == best.name)
    ua = best.ua
    assert row[1:3] == [
        f"{100 * ua.value:.1f}\\,$\\pm$\\,{100 * ua.deviation:.1f}",
        f"[{100 * ua.low:.1f}, {100 * ua.high:.1f}]",
    ]
    assert len(row) == 7


def test_latex_has_no_deviation_of_one_seed():
    text = latex(made_up.evaluation(n_systems=1, n_seeds=1))
    assert "pm" not in text
    assert "deviation" not in text


def test_latex_tables_have_as_many_cells_as_columns():
    for text in (
        MADE,
        made_up.evaluation(n_systems=8, n_seeds=1, labels=made_up.FOUR),
        made_up.evaluation(1, absent=("calm",)),
    ):
        text = made_up.with_sentences(made_up.with_folds(text))
        for table in latex(text).split("\\begin{table*}")[1:]:
            columns = re.search(r"\\begin\{tabular\}\{(.*)\}\n", table)[1].replace("@{ }", "")
            wide = table.replace("multicolumn{2}{c}{", " & {")
            assert {len(row) for row in body_rows(wide)} == {len(columns)}


def test_latex_recalls_are_turned_so_that_the_table_is_narrow():
    few = body_rows(latex(MADE).split("\\begin{table*}")[2])
    assert few[0] == ["Class", *(system.name for system in MADE.systems)]
    assert few[1] == ["neutral", *(f"{100 * s.report.recall['neutral']:.1f}" for s in MADE.systems)]
    many = made_up.evaluation(n_systems=8, n_seeds=1, labels=made_up.FOUR)
    rows = body_rows(latex(many).split("\\begin{table*}")[2])
    assert rows[0] == ["System", *made_up.FOUR]
    assert rows[1][1:] == [f"{100 * many.systems[0].report.recall[label]:.1f}" for label in made_up.FOUR]


def test_latex_has_a_dash_for_the_recall_of_an_absent_class():
    rows = body_rows(latex(made_up.evaluation(n_systems=1, n_seeds=1, absent=("calm",))))
    assert ["calm", "--"] in rows


def test_latex_is_safe_from_what_a_corpus_has_in_its_names():
    made = made_up.evaluation(n_systems=1, n_seeds=1, labels=("a_b", "c&d"))
    made = replace(made, data={"corpus": "50 % #1?"}, systems=(replace(made.systems[0], name="x_y [z]"),))
    text = latex(made)
    assert {"a\\_b", "c\\&d", "x\\_y {[}z{]}"} <= {cell for row in body_rows(text) for cell in row}
    assert "50 \\% \\#1?" in text


def test_latex_marks_a_leak():
    assert "The split shares speakers." in latex(replace(MADE, leak="The split shares speakers."))
    assert "Leaky" not in latex(MADE)


def table(text, label):
    """The rows of one table, and its caption."""
    (found,) = (part for part in text.split("\\begin{table*}")[1:] if f"\\label{{tab:ser-{label}}}" in part)
    return body_rows(found), re.search(r"\\caption\{(.*)\}\n", found)[1]


def test_latex_sets_published_figures_beside_ours_on_session_5_apart_from_the_pooled_ones():
    first, *others = MADE.systems
    text = latex(replace(MADE, systems=(replace(first, published=made_up.published(0.711, 0.702)), *others)))
    rows, caption = table(text, "published")
    assert rows[1:] == [[first.name, "70.2", "71.1", "$-$0.9"]]
    assert "session 5 (1241 utterances)" in caption
    assert "https://github.com/PiotrSobczak/speech-emotion-recognition" in caption
    assert "validation part shares speakers" in caption
    assert "Published" not in str(table(text, "results")) + latex(MADE)


def test_latex_has_a_caption_that_tells_what_was_measured_on_what():
    _, caption = table(latex(MADE), "results")
    assert caption == (
        "Recognition of neutral, calm, happiness, sadness, anger, fear, disgust and surprise on RAVDESS: unweighted "
        "and weighted accuracy (UA, WA) and F1 in \\%, in brackets the 95 \\% interval over 24 speakers. 480 "
        "utterances of 24 speakers (6-fold cross-validation, split speakers); values are the mean over 3 seeds, ± "
        "their standard deviation."
    )


def test_latex_and_csv_have_mean_and_deviation_over_folds_and_each_fold_and_seed():
    made = made_up.with_folds(MADE)
    best = made.systems[0].name
    text = latex(made)
    assert [best, *["54.3\\,$\\pm$\\,2.3"] * 4] in table(text, "folds")[0]
    rows, caption = table(text, "ua-folds")
    assert rows[0] == ["System", "fold 1", "fold 2", "fold 3"]
    assert [f"{best}, seed 1", "53.0", "55.0", "57.0"] in rows
    assert caption == "UA of each fold and seed, in \\%."
    row = one(csv_rows(made), system=best, by="fold", of="2", seed="1", figure="wa")
    assert (float(row["value"]), row["n"]) == (0.55, "160")
    mean = one(csv_rows(made), system=best, by="fold", of="mean", figure="wa")
    assert (mean["value"], mean["deviation"]) == ("0.5432", "0.0234")
    assert "tab:ser-folds" not in latex(MADE)


def test_latex_has_p_values_precision_and_f1():
    best, second, _ = MADE.systems
    text = latex(
        replace(MADE, differences=(replace(MADE.differences[0], p_ua=0.0001, p_holm=0.0312), *MADE.differences[1:]))
    )
    row = next(row for row in table(text, "differences")[0] if row[:2] == [best.name, second.name])
    assert row[6:8] == ["$<$ 0.001", "0.031"]
    for name in ("precision", "f1"):
        row = next(row for row in table(text, name)[0] if row[0] == "calm")
        assert row[1] == f"{100 * getattr(best.report, name)['calm']:.1f}"


def test_of_many_systems_latex_compares_the_best_with_each_other():
    made = made_up.evaluation(n_systems=8, n_seeds=1)
    rows, caption = table(latex(made), "differences")
    assert len(rows) == 1 + 7
    assert {row[0] for row in rows[1:]} == {made.systems[0].name}
    assert "corrected for 28 comparisons (Holm)" in caption


def test_two_systems_are_one_comparison():
    made = made_up.evaluation(n_systems=2, n_seeds=1)
    assert "corrected for 1 comparison (Holm)" in table(latex(made), "differences")[1]


def test_latex_has_size_time_hardware_settings_and_the_commands_that_made_the_runs():
    text = latex(MADE)
    best = MADE.systems[0]
    (row,) = (row for row in table(text, "systems")[0] if row[0] == best.name)
    assert row[1:] == [f"{best.training.parameters:,}", "12.6 min", "AMD EPYC, 1 thread"]
    assert "\\item[All that have it] model.feature: lld; model.architecture: lstm." in text
    assert f"\\item[{best.name}] train.lr: {best.training.settings['train.lr']}." in text
    assert text.splitlines()[1:3] == ["% ser train -m all --data work/ravdess --out runs", f"% {MADE.command}"]


def test_settings_of_a_member_that_is_a_system_itself_are_its_name():
    first, *others = MADE.systems
    own = {f"acoustic: {name}": value for name, value in others[0].training.settings.items()}
    fused = replace(first, training=replace(first.training, settings={"rule": "average", **own}))
    text = latex(replace(MADE, systems=(fused, *others)))
    assert f"\\item[{first.name}] rule: average; acoustic: {others[0].name}." in text


def test_latex_and_csv_tell_sentences_that_are_in_training_from_new_ones():
    made = made_up.with_sentences(MADE)
    best = made.systems[0].name
    rows, _ = table(latex(made), "sentences")
    assert [best, "464", "81.0", "16", "41.0"] in rows
    assert one(csv_rows(made), system=best, figure="seen")["value"] == "464"
    assert one(csv_rows(made), system=best, by="sentence", of="new", figure="gap")["value"] == "-0.251"
    assert "tab:ser-sentences" not in latex(MADE)


def test_latex_says_that_words_may_be_memorised_where_all_sentences_are_in_training():
    all_seen = replace(MADE, systems=tuple(replace(s, n_seen=480) for s in MADE.systems))
    assert (
        "Could the words be memorised? Perhaps: in training each system heard" in table(latex(all_seen), "results")[1]
    )
    assert "memorised" not in table(latex(made_up.with_sentences(MADE)), "results")[1]


def test_csv_has_one_figure_a_row_in_full():
    best = MADE.systems[0]
    row = one(csv_rows(MADE), system=best.name, figure="ua", by="", against="")
    assert [float(row[key]) for key in ("value", "low", "high", "deviation")] == [
        *(best.ua.value, best.ua.low, best.ua.high, best.ua.deviation),
    ]
    assert row["n"] == "480"
    assert tuple(row) == COLUMNS


def test_csv_has_classes_and_confusions():
    rows = csv_rows(MADE)
    best = MADE.systems[0]
    recall = one(rows, system=best.name, by="class", of="calm", figure="recall")
    assert float(recall["value"]) == best.report.recall["calm"]
    counts = [
        one(rows, system=best.name, by="class", of="calm", figure=f"answered:{label}")["value"] for label in MADE.labels
    ]
    assert [float(count) for count in counts] == best.report.confusion[1]
    assert one(rows, system=best.name, by="class", of="calm", figure="f1", seed="")["n"] == "60"


def test_csv_has_slices_baselines_differences_and_word_errors():
    rows = csv_rows(MADE)
    best, second, _ = MADE.systems
    assert float(one(rows, system=best.name, by="sex", of="male", figure="ua")["value"]) == best.slices[1].ua
    assert float(one(rows, system="chance", figure="wa")["value"]) == 0.125
    difference = one(rows, system=best.name, against=second.name, figure="ua")
    assert float(difference["low"]) == MADE.differences[0].ua.low
    assert (
        float(one(rows, system=best.name, against=second.name, figure="p_holm")["value"]) == MADE.differences[0].p_holm
    )
    assert one(rows, system="whisper", figure="word_error_rate")["value"] == "0.0834"
    assert one(rows, system=best.name, figure="ece_before")["value"] == "0.113"


def test_csv_leaves_cells_without_meaning_empty():
    made = made_up.evaluation(n_systems=1, n_seeds=1, absent=("calm",))
    rows = csv_rows(made)
    assert one(rows, system=made.systems[0].name, by="class", of="calm", figure="recall")["value"] == ""
    assert one(rows, system=made.systems[0].name, figure="ua", by="")["deviation"] == ""
    assert not re.search(r"\b(nan|None|inf)\b", csv_table(made))


def test_csv_keeps_names_that_need_quotes():
    made = made_up.evaluation(n_systems=1, n_seeds=1)
    made = replace(made, systems=(replace(made.systems[0], name='a,"b"\nc'),))
    assert csv_rows(made)[0]["system"] == 'a,"b"\nc'


def test_csv_runs_no_name_as_a_formula():
    made = made_up.evaluation(n_systems=1, n_seeds=1)
    made = replace(made, systems=(replace(made.systems[0], name="=cmd|' /C calc'!A0\x1b[2J"),))
    assert csv_rows(made)[0]["system"] == "'=cmd|' /C calc'!A0\\x1b[2J"
