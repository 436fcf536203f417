import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import made_up
import pytest

from sercli.dataset.transcripts import WordErrors
from sercli.evaluation import plots
from sercli.evaluation.report import findings, latex, page
from sercli.evaluation.report.numbers import marked

HOSTILE = "</script></style><svg onload=alert(1)><img src=http://evil.example/x>\"'&"
VOID = {"meta", "br", "link", "img", "input", "hr"}
LABELS_28 = tuple(f"emotion {k}" for k in range(1, 29))
SHAPES = {
    "one system, one seed": {"n_systems": 1, "n_seeds": 1},
    "two systems, two classes": {"n_systems": 2, "labels": ("neutral", "anger")},
    "five systems": {"n_systems": 5},
    "28 classes, one absent": {"n_systems": 1, "labels": LABELS_28, "absent": LABELS_28[2:3], "n": 270},
    "two absent": {"n_systems": 2, "absent": ("calm", "fear"), "n_seeds": 2},
}


class Seen(HTMLParser):
    """What a page is made of. Fails where an element is not closed in its turn."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.said, self.ids = [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for key, value in attrs if key == "id"]

    def handle_endtag(self, tag):
        assert self.open[-1:] == [tag], f"</{tag}> closes nothing"
        self.open.pop()

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.said.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.said))


@pytest.fixture
def no_pictures(monkeypatch):
    """For what is said of words and tables: pictures take most of a page's time."""
    monkeypatch.setattr(
        plots, "as_svg", lambda draw, *shown, label, prefix: '<svg xmlns="http://www.w3.org/2000/svg"/>'
    )


@pytest.fixture(scope="module", params=SHAPES.values(), ids=SHAPES.keys())
def shape(request):
    made = made_up.evaluation(**request.param)
    html = page(made)
    return made, html, Seen(html)


def test_each_element_is_closed_and_each_id_stands_once(shape):
    seen = shape[2]
    assert len(seen.ids) == len(set(seen.ids))


def test_whatever_is_referred_to_is_there(shape):
    _, html, seen = shape
    references = re.findall(r"url\(#([^)]+)\)", html)
    for _, attributes in seen.tags:
        references += [attributes[key] for key in ("aria-labelledby",) if key in attributes]
        references += [value[1:] for key, value in attributes.items() if key == "href"]
    assert references
    assert set(references) <= set(seen.ids)


def test_nothing_is_fetched(shape):
    _, html, seen = shape
    for tag, attributes in seen.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base"}
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#")
    assert "@import" not in html
    assert not re.findall(r"url\((?!#)", html)


def test_no_figure_is_missing_without_a_word(shape):
    assert not re.findall(r"\b(nan|NaN|None|inf|Infinity|undefined)\b", shape[2].text)


def test_headings_go_down_one_step_at_a_time(shape):
    levels = [int(tag[1]) for tag, _ in shape[2].tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_tables_have_captions_and_pictures_have_words(shape):
    tags = [tag for tag, _ in shape[2].tags]
    assert tags.count("caption") == tags.count("table") > 5
    assert all(attributes.get("scope") for tag, attributes in shape[2].tags if tag == "th")
    pictures = [attributes for tag, attributes in shape[2].tags if tag == "svg"]
    assert len(pictures) == 2 + 2 * len(shape[0].systems)
    assert all(picture["role"] == "img" and picture["aria-label"] for picture in pictures)


def test_each_system_and_each_class_is_shown(shape):
    made, _, seen = shape
    for name in (*(system.name for system in made.systems), *made.labels, "chance", "majority"):
        assert name in seen.text


@pytest.mark.parametrize("shape", [SHAPES["one system, one seed"]], indirect=True)
def test_the_same_evaluation_gives_the_same_bytes(shape):
    made, html, _ = shape
    assert page(made) == html


@pytest.mark.parametrize("shape", [SHAPES["five systems"]], indirect=True)
def test_a_usual_report_is_small(shape):
    assert len(shape[1].encode()) < 500_000


@pytest.mark.usefixtures("no_pictures")
def test_the_answer_comes_before_all_else():
    text = Seen(page(made_up.evaluation(n_systems=2))).text
    places = [text.index(f" {word} ") for word in ("Which is best?", "Data", "Protocol", "Results")]
    assert places == sorted(places)


def test_what_comes_from_a_corpus_is_only_text():
    made = made_up.evaluation(n_systems=2, n_seeds=1, labels=("neutral", HOSTILE), warnings=(HOSTILE,), command=HOSTILE)
    systems = tuple(
        replace(
            system,
            name=f"{HOSTILE} {place}",
            slices=tuple(replace(found, by=HOSTILE, value=HOSTILE, absent=(HOSTILE,)) for found in system.slices[:2]),
            worst=replace(system.slices[0], by=HOSTILE, value=HOSTILE),
            mistakes=tuple(
                replace(m, id=HOSTILE, path=HOSTILE, words=HOSTILE, members={HOSTILE: (HOSTILE, 0.5)})
                for m in system.mistakes
            ),
        )
        for place, system in enumerate(made.systems)
    )
    facts = {HOSTILE: HOSTILE, "corpus": HOSTILE}
    made = replace(
        made,
        systems=systems,
        differences=(replace(made.differences[0], first=systems[0].name, second=systems[1].name),),
        question=HOSTILE,
        data=facts,
        protocol=facts,
        environment=facts,
        word_errors={HOSTILE: WordErrors(1, 10)},
    )
    seen = Seen(page(made))
    tags = [tag for tag, _ in seen.tags]
    assert tags.count("script") == 1
    assert "img" not in tags
    assert not any("onload" in attributes for _, attributes in seen.tags)
    assert seen.text.count(HOSTILE.replace("\n", " ")) > 30


@pytest.mark.usefixtures("no_pictures")
def test_a_name_that_no_document_may_have_gives_a_page():
    made = made_up.evaluation(n_systems=1, n_seeds=1, labels=("neutral", "anger"))
    mistakes = (replace(made.systems[0].mistakes[0], id="an\x00ger\x1b[0m caf\udce9"),)
    html = page(replace(made, systems=(replace(made.systems[0], mistakes=mistakes),)))
    assert "an\ufffdger\ufffd[0m caf\ufffd" in html
    html.encode()


@pytest.mark.usefixtures("no_pictures")
def test_the_policy_allows_the_own_script_and_nothing_from_elsewhere():
    html = page(made_up.evaluation(n_systems=1, n_seeds=1))
    policy = next(a["content"] for tag, a in Seen(html).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]{44}';", policy)


@pytest.mark.usefixtures("no_pictures")
def test_a_line_of_the_head_never_parts_a_number_and_its_percent_sign():
    made = made_up.evaluation(n_systems=2, n_seeds=1)
    assert str(marked(findings.headline(made))) in re.search("<main>.*?</dl>", page(made), re.DOTALL)[0]


@pytest.mark.usefixtures("no_pictures")
def test_a_dash_is_explained_only_where_one_stands():
    made = made_up.evaluation(n_systems=1, n_seeds=1)
    assert not re.search("–: (no|a) ", page(made))
    sparse = replace(made, systems=(replace(made.systems[0], above={}),))
    assert "–: no prediction is that confident." in page(sparse)
    absent = page(made_up.evaluation(n_systems=1, n_seeds=1, absent=("calm",)))
    assert "–: a class without utterances has no recall" in absent


@pytest.mark.usefixtures("no_pictures")
def test_the_limits_name_the_corpus_the_speakers_the_trainings_and_the_temperatures():
    made = made_up.evaluation(n_systems=1, n_seeds=1)
    (system,) = made.systems
    text = Seen(page(replace(made, data={**made.data, "language": "English"}))).text
    assert "One corpus (RAVDESS, English): other languages" in text
    assert "24 speakers: intervals and tests tell" in text
    assert "Each system was trained once for each fold" in text
    assert "Each fold has a temperature of its own: calibration" in text
    assert "trained once" not in page(made_up.evaluation(n_systems=1, n_seeds=3))
    alike = replace(system, training=replace(system.training, temperatures=(1.0, 1.2)))
    assert "temperature of its own" not in page(replace(made, systems=(alike,)))


@pytest.mark.usefixtures("no_pictures")
def test_a_page_tells_how_to_install_prepare_and_check_the_data():
    made = made_up.evaluation(n_systems=1, n_seeds=1)
    text = Seen(
        page(replace(made, data={**made.data, "made by": "ser prepare ravdess CORPUS", "manifest": "3f5a"}))
    ).text
    lines = ("pipx install sercli==0.3.0", "ser prepare ravdess CORPUS", "ser train -m all", "ser evaluate -a runs")
    places = [text.rindex(line) for line in lines]
    assert places == sorted(places)
    assert "it used --split speakers ( --folds 6 ), the default of the corpus, and seed 0." in text
    assert "begins with 3f5a and" in text


@pytest.mark.usefixtures("no_pictures")
def test_a_clip_of_a_mistake_is_embedded_and_may_be_played_only_if_there_is_one():
    made = made_up.evaluation(n_systems=1, n_seeds=1)
    first = made.systems[0].mistakes[0]
    sounding = Seen(page(made, {first.id: b"ID3 sound"}))
    clips = [attributes for tag, attributes in sounding.tags if tag == "audio"]
    assert {clip["src"] for clip in clips} == {"data:audio/mpeg;base64,SUQzIHNvdW5k"}
    assert {clip["aria-label"] for clip in clips} == {first.id}
    policies = [Seen(page(made)), sounding]
    assert ["media-src data:" in str(one.tags) for one in policies] == [False, True]


@pytest.mark.usefixtures("no_pictures")
def test_macro_f1_over_all_classes_has_a_column_where_it_is_another():
    made = made_up.evaluation(n_systems=1, n_seeds=1)
    (system,) = made.systems
    other = replace(made, systems=(replace(system, macro_f1_all=replace(system.macro_f1, value=0.1234)),))
    assert "Macro-F1, all classes" not in Seen(page(made)).text + latex(made)
    for text in (Seen(page(other)).text, latex(other)):
        assert "Macro-F1, all classes" in text
        assert "12.3" in text


@pytest.mark.usefixtures("no_pictures")
def test_a_leak_is_said_before_the_answer():
    made = made_up.evaluation(n_systems=1, n_seeds=1)
    leaky = Seen(page(replace(made, leak="The split shares speakers."))).text
    assert leaky.count("The split shares speakers.") == 2
    assert leaky.index("The split shares speakers.") < leaky.index("UA")
    assert "shares speakers" not in Seen(page(made)).text


@pytest.mark.usefixtures("no_pictures")
def test_absent_classes_are_named():
    text = Seen(page(made_up.evaluation(n_systems=1, n_seeds=1, absent=("calm", "fear")))).text
    assert "No utterance is calm and fear: these classes have no recall and are left out" in text


@pytest.mark.usefixtures("no_pictures")
def test_class_counts_are_those_of_one_seed():
    made = made_up.evaluation(n_systems=1, n_seeds=3, labels=("neutral", "anger"), n=480)
    html = page(made)
    assert '<tr><th scope="row">neutral</th><td class="n">240</td><td class="n">50.0</td></tr>' in html
    assert "480 utterances of 24 speakers" in html
    assert "Counts are the mean over 3 seeds." in html
    assert "720" not in html


@pytest.mark.usefixtures("no_pictures")
def test_published_values_stand_beside_ours_with_their_protocol():
    made = made_up.evaluation(n_systems=2, n_seeds=1)
    assert "Published" not in page(made)
    published = made_up.published(0.551, 0.572)
    html = page(replace(made, systems=(replace(made.systems[0], published=published), made.systems[1])))
    cells = "".join(f'<td class="n">{cell}</td>' for cell in ("1,241", "57.2", "55.1", "+2.1"))
    assert f'<tr><th scope="row">{made.systems[0].name}</th>{cells}</tr>' in html
    text = Seen(html).text
    assert "WA on session 5 alone, %, beside the original study" in text
    assert "what the original study reports (https://github.com/PiotrSobczak/" in text
    assert "here the split is speakers" in text


@pytest.mark.usefixtures("no_pictures")
def test_each_fold_and_seed_is_shown_with_mean_and_deviation_over_folds():
    made = made_up.with_folds(made_up.evaluation(n_systems=2, n_seeds=2))
    html = page(made)
    assert '<td class="n">54.3 ± 2.3</td>' in html
    cells = "".join(f'<td class="n">{cell}</td>' for cell in ("53.0", "55.0", "57.0"))
    assert f'<tr><th scope="row">{made.systems[0].name}</th><td>1</td>{cells}</tr>' in html


@pytest.mark.usefixtures("no_pictures")
def test_seeds_are_in_the_order_of_their_numbers():
    made = made_up.with_folds(made_up.evaluation(n_systems=1, n_seeds=11))
    seeds = re.findall(rf"{made.systems[0].name}</th><td>(\d+)</td>", page(made))
    assert seeds == [str(seed) for seed in range(11)]


@pytest.mark.usefixtures("no_pictures")
def test_size_time_hardware_settings_and_commands_of_each_system_are_shown():
    text = Seen(page(made_up.evaluation(n_systems=2, n_seeds=1))).text
    for expected in ("123,457", "12.6 min", "AMD EPYC, 1 thread", "train.lr", "ser train -m all --data work/ravdess"):
        assert expected in text


@pytest.mark.usefixtures("no_pictures")
def test_sentences_that_are_in_training_are_counted_and_scored_apart():
    made = made_up.with_sentences(made_up.evaluation(n_systems=2, n_seeds=1))
    text = Seen(page(made)).text
    assert (
        "Could the words be memorised? Yes, it seems: in training each system heard or read the sentence of 464" in text
    )
    assert re.search(r"464 81.0 70.0 to 90.0 16 41.0 30.0 to 60.0 −25.1", text)
    assert (
        "the sentence of none of the 480 test utterances" in Seen(page(made_up.evaluation(n_systems=2, n_seeds=1))).text
    )


@pytest.mark.usefixtures("no_pictures")
def test_a_slice_has_the_recall_of_each_class_and_a_dash_where_it_has_none():
    made = made_up.evaluation(n_systems=1, n_seeds=1, labels=made_up.FOUR)
    (system,) = made.systems
    recall = {"neutral": 0.8765, "happiness": None, "sadness": 0.5, "anger": 0.25}
    part = replace(system.slices[0], recall=recall, absent=("happiness",))
    html = page(replace(made, systems=(replace(system, slices=(part, system.slices[1])),)))
    assert "".join(f'<td class="n">{cell}</td>' for cell in ("87.6", "–", "50.0", "25.0")) in html
    assert "–: the slice has no utterance of the class." in html
    assert "–: the slice" not in page(replace(made, systems=(replace(system, slices=system.slices[1:2]),)))


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("n_groups", "shown"), [(1, ("", True)), (2, ("2", False)), (3, ("3", True)), (24, ("", True))]
)
def test_a_slice_has_its_number_of_speakers_if_it_has_not_all_and_no_interval_over_two(n_groups, shown):
    made = made_up.evaluation(n_systems=1, n_seeds=1)
    part = replace(made.systems[0].slices[0], ua=0.5, low=0.4123, high=0.5987, n_groups=n_groups)
    html = page(replace(made, systems=(replace(made.systems[0], slices=(part,), worst=None),)))
    number, has_interval = shown
    said = re.findall(r'female<span class="ci">(\d+) speakers</span>', html)
    assert said == [number] * bool(number)
    assert ("41.2 to 59.9" in html) == has_interval


@pytest.mark.usefixtures("no_pictures")
def test_of_many_systems_the_pairs_without_the_best_are_folded_away():
    made = made_up.evaluation(n_systems=8, n_seeds=1)
    html = page(made)
    assert "The best system and each other on the same utterances" in html
    assert "<summary>The other pairs (21)</summary>" in html


@pytest.mark.usefixtures("no_pictures")
def test_sections_without_content_are_left_out():
    made = made_up.evaluation(n_systems=1, n_seeds=1, warnings=(), word_errors={})
    assert not {"warnings", "words", "differences"} & set(Seen(page(made)).ids)


BROWSER = next(
    (found for name in ("chromium", "google-chrome", "chromium-browser") if (found := shutil.which(name))), None
)
in_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on PATH")


def browse(path, tmp_path):
    """The page's DOM after its script has run, and what the browser's console was told."""
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [*command, profile, "--virtual-time-budget=2000", path.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@in_browser
def test_a_browser_runs_the_page_without_complaint(tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page(made_up.evaluation(n_systems=2, n_seeds=1)), encoding="utf-8")
    dom, console = browse(path, tmp_path)
    assert console == []
    assert 'aria-label="Sort by UA"' in dom


@in_browser
@pytest.mark.usefixtures("no_pictures")
def test_a_click_sorts_a_table_and_undefined_values_stay_last(tmp_path):
    """The click is a second script, which the page's own policy would not let run: here it is taken out."""
    html = page(made_up.evaluation(n_systems=2, n_seeds=1, absent=("neutral",)))
    html = re.sub(r"<meta http-equiv[^>]*>", "", html)
    steps = """<script>
      const table = document.getElementById("system-1-classes").closest("table");
      const recalls = () => [...table.tBodies[0].rows].map((row) => row.cells[2].textContent).join(" ");
      const button = table.querySelector('[aria-label="Sort by Recall"]');
      button.click(); document.body.dataset.down = recalls();
      button.click(); document.body.dataset.up = recalls();
    </script></body>"""
    path = tmp_path / "report.html"
    path.write_text(html.replace("</body>", steps), encoding="utf-8")
    dom, console = browse(path, tmp_path)
    assert console == []
    down, up = (re.search(f'data-{way}="([^"]*)"', dom)[1].split() for way in ("down", "up"))
    assert down[-1] == up[-1] == "–"
    assert [float(x) for x in down[:-1]] == sorted((float(x) for x in down[:-1]), reverse=True)
    assert up[:-1] == sorted(down[:-1], key=float)


@in_browser
@pytest.mark.usefixtures("no_pictures")
def test_a_report_of_twenty_systems_is_printed_on_about_thirty_pages(tmp_path):
    path, printed = tmp_path / "report.html", tmp_path / "report.pdf"
    path.write_text(page(made_up.with_folds(made_up.evaluation(n_systems=20, n_seeds=1))), encoding="utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    subprocess.run([*command, f"--print-to-pdf={printed}", path.as_uri()], capture_output=True, timeout=120, check=True)
    assert 20 < len(re.findall(rb"/Type /Page\b", printed.read_bytes())) <= 33


@pytest.mark.usefixtures("no_pictures")
def test_only_the_best_system_has_its_mistakes_listed_with_a_note_where_it_is_fused():
    made = made_up.evaluation(n_systems=3)
    text = Seen(page(made)).text
    assert text.count("Most confident mistakes") == 1
    assert "Members have the confidence" not in text
    fused_first = replace(made, systems=sorted(made.systems, key=lambda s: s.modality != "both"), differences=())
    text = Seen(page(replace(fused_first, systems=fused_first.systems[:1]))).text
    assert text.count("Members have the confidence that they had alone; that of average of sound and words was") == 1
