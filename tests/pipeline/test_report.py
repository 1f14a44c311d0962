import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from strop.artifacts.schemas import (
    CALIBRATION_MEASURES,
    DEPTHS,
    DIAGNOSIS_HISTOGRAM,
    POWER,
    RELIABILITY,
    RESULTS,
    SLICES,
)
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.decision import Contender, decision_table, promote
from strop.pipeline.evaluation.results import Outsider, results_table, results_tables
from strop.pipeline.reporting.blocks import Code, plain
from strop.pipeline.reporting.breakdown import Breakdown
from strop.pipeline.reporting.calibration import CalibrationFacts
from strop.pipeline.reporting.commands import commands
from strop.pipeline.reporting.plots import latency_plot, rounds_plot, weight_plot
from strop.pipeline.reporting.report import (
    ReportData,
    RoundFacts,
    render_html,
    render_markdown,
    verdict,
)
from strop.pipeline.reporting.scores import COLUMNS, MEANINGS, ScoreFacts

HISTOGRAM = pa.Table.from_pylist(
    [
        {"split": "dev", "label": label, "low": float(i), "high": i + 1.0, "count": 3 + i}
        for label in ("positive", "negative")
        for i in range(4)
    ],
    schema=DIAGNOSIS_HISTOGRAM,
)


@pytest.fixture
def data(tables) -> ReportData:
    def rows(gain, split="test"):
        base = np.linspace(0.2, 0.8, 60)
        noise = 0.02 * np.where(np.arange(60) % 2, 1, -1)
        return pa.concat_tables(
            [
                tables.metric_rows(base, ranking="first_stage", split=split),
                tables.metric_rows(base - 0.1 + gain, ranking="reranker", split=split),
                tables.metric_rows(base + gain + noise, split=split),
            ]
        )

    rounds = {0: rows(0.0), 1: rows(0.05)}
    decision = promote(
        Contender("round 1", "fused", rows(0.05, "gate")),
        Contender("the first stage", "first_stage", rows(0, "gate")),
        seed=1,
    )
    return ReportData(
        title="Run <demo>",
        results=results_table(rounds, split="test", seed=1, samples=500),
        decisions=decision_table([decision]),
        champion=(1, "fused"),
        rounds={
            1: RoundFacts(
                mining={
                    "num_negatives": 6000,
                    "num_suspects": 41,
                    "short_pools": 3,
                    "source": "a|b<script>alert(3)</script>",
                },
                weight=0.3,
                weight_curve=[(0.0, 0.5), (0.5, 0.56), (1.0, 0.4)],
                scores=ScoreFacts(
                    {"auc": 0.912, "ks": 0.5, "gap": 1.25, "num_positives": 9.0, "shift": -0.4},
                    HISTOGRAM,
                    ["positives and negatives overlap <script>alert(1)</script>"],
                ),
            )
        },
        recall_ceiling=0.9,
        lineage={"reranker, round 1": "abc123"},
        config="seed: 13\nname: </pre><script>alert(2)</script>\n",
        notes=["12 queries have no positive & are left out<script>alert(4)</script>"],
    )


class Page(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.texts.append(data)


def test_the_verdict_says_who_by_how_much_and_on_what_evidence(data):
    assert re.fullmatch(
        r"Round 1, fused with the first stage, is the champion: nDCG@10 on test is 0\.550,"
        r" 0\.050 above the first stage's 0\.500 \(95.% interval \+0\.0\d\d to \+0\.05\d,"
        r" p = 0\.002, 60 queries\): a significant gain\.",
        verdict(data),
    )


def test_a_verdict_without_a_gain_does_not_claim_one(data):
    assert verdict(replace(data, champion=(0, "first_stage"))) == (
        "The first stage stays the champion (nDCG@10 on test 0.500):"
        " no round was shown to be better."
    )
    assert verdict(replace(data, champion=(0, "fused"))).endswith(
        "a difference that may be chance."
    )
    assert verdict(replace(data, champion=(0, "reranker"))).endswith("a significant loss.")
    outside = verdict(replace(data, champion=None, champion_name="run may, round 2"))
    assert "still run may, round 2" in outside


def test_the_page_holds_everything_and_loads_nothing(data):
    html = render_html(data)
    page = Page(html)
    text = " ".join(page.texts)
    for expected in (
        "Round 1, fused",
        "Untuned base, alone",
        "Recall ceiling of the candidates: 90.0%",
        "chosen on dev: round 1 0.3.",
        "6,000",
        "promoted",
        "abc123",
        "12 queries have no positive & are left out",
        "positives and negatives overlap",
    ):
        assert expected in text
    assert page.tags.count("svg") == 3
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not re.search(r'(src|href)="(?!#)', html)
    assert "@import" not in html
    assert len(html) < 200_000


def test_quality_by_depth_comes_with_the_time_it_takes(data):
    def depth_row(depth, ranking, value):
        bounds = {"value": value, "ci_low": value, "ci_high": value, "n": 60}
        about = {"round": 1, "split": "test", "ranking": ranking, "depth": depth}
        return {**about, "metric": "nDCG@10", **bounds}

    kinds = ("first_stage", "reranker", "fused")
    rows = [depth_row(d, kind, 0.4 + d / 100) for d in (10, 20) for kind in kinds]
    times = {"queries": 20, "pairs_per_second": 1234.0, "p95_ms": 90.0}
    found = Breakdown(
        round=1,
        depths=pa.Table.from_pylist(rows, schema=DEPTHS),
        slices=SLICES.empty_table(),
        power=pa.Table.from_pylist(
            [
                {
                    "split": "gate",
                    "metric": "nDCG@10",
                    "n": 60,
                    "num_clusters": 25,
                    "smallest_detectable": 0.0213,
                },
                {
                    "split": "dev",
                    "metric": "nDCG@10",
                    "n": 1,
                    "num_clusters": 1,
                    "smallest_detectable": float("inf"),
                },
            ],
            schema=POWER,
        ),
        latency=[{**times, "depth": 10, "p50_ms": 4.5}, {**times, "depth": 20, "p50_ms": 8.0}],
        timed_on="a machine",
    )
    full = replace(data, breakdown=found)
    assert "| gate | 60 | 25 groups | 0.021 |" in render_markdown(full)
    assert "| dev | 1 | queries | unknown |" in render_markdown(full)
    assert "| 20 | fused | 0.600 | 8.0 | 90.0 | 1,234 |" in render_markdown(full)
    text = " ".join(Page(render_html(full)).texts)
    assert "Round 1 on test, had only the first candidates been reranked" in text
    for expected in ("20 dev queries one by one on a machine", "depth 20", "0.021"):
        assert expected in text
    assert Page(render_html(full)).tags.count("svg") == 4


def test_a_single_depth_still_has_the_first_stage_beside_it():
    rows = [{"depth": 4, "ranking": kind, "value": 0.5} for kind in ("first_stage", "fused")]
    timed = [{"depth": 4, "p50_ms": 20.0}]
    drawn, _, _ = latency_plot(rows, timed, metric="nDCG@10").partition('id="latency-legend')
    (dashed,) = re.findall(r'<path d="([^"]*)"[^>]*stroke-dasharray', drawn)
    assert " \nL " in dashed or " L " in dashed  # a line, not a point that nobody sees


def test_text_with_markup_stays_text(data):
    html = render_html(data)
    assert "<script" not in html
    assert "<demo>" not in html
    assert "</pre><script>alert(2)</script>" in "".join(Page(html).texts)
    markdown = render_markdown(data)
    assert "<script" not in markdown.split("```")[0]
    assert r"a\|b&lt;script>" in markdown


def test_ids_of_several_plots_do_not_clash(data):
    ids = Page(render_html(data)).ids
    assert len(ids) == len(set(ids))


def test_the_champions_row_stands_out(data):
    assert render_html(data).count('<tr class="strong"><td>Round 1, fused</td>') == 1
    row = next(line for line in render_markdown(data).splitlines() if "**Round 1, fused**" in line)
    assert "**0.550**" in row


def test_equal_data_give_equal_bytes(data):
    assert render_html(data) == render_html(data)
    assert render_markdown(data, pictures=True) == render_markdown(data, pictures=True)


def test_markdown_embeds_pictures_only_when_asked(data):
    assert "data:image/svg+xml;base64," not in render_markdown(data)
    assert render_markdown(data, pictures=True).count("](data:image/svg+xml;base64,") == 3


def test_a_plot_is_well_formed_and_names_its_series(data):
    svg = rounds_plot(data.results, metric="nDCG@10")
    text = "".join(ElementTree.fromstring(svg).itertext())
    for expected in ("First stage", "Reranker alone", "Fused with the first stage", "round 1"):
        assert expected in text
    assert "<metadata" not in svg


def test_a_bare_report_has_only_what_is_known(data):
    bare = ReportData(data.title, data.results, data.decisions.slice(0, 0), (0, "first_stage"))
    headings = [line for line in render_markdown(bare).splitlines() if line.startswith("## ")]
    assert headings == ["## Results on test"]


def test_results_of_two_splits_are_refused(data):
    rows = data.results.to_pylist()
    both = [*rows, *({**row, "split": "dev"} for row in rows)]
    results = pa.Table.from_pylist(both, schema=RESULTS)
    with pytest.raises(InputError, match="results of one split"):
        render_html(replace(data, results=results))


def test_a_champion_that_is_not_in_the_results_is_refused(data):
    with pytest.raises(InputError, match=r"no nDCG@10 of the champion \(7, 'fused'\)"):
        render_html(replace(data, champion=(7, "fused")))


def test_markdown_fences_outlast_the_fences_in_the_text():
    assert Code("a\n```\nb", "x").markdown() == "````\na\n```\nb\n````"
    assert plain("a|b\n<i> *c*") == r"a\|b &lt;i> \*c\*"


def calibration_facts(after):
    """One diagnosed round, calibrated by temperature: ECE 0.3 before, and so much after."""

    def measured(calibration, ece):
        counts = {"num_candidates": 500, "num_positives": 40, "num_queries": 50}
        return {"split": "test", "calibration": calibration, "ece": ece, "brier": 0.1, **counts}

    def reliability(calibration):
        return [
            {
                "split": "test", "calibration": calibration, "low": low, "high": low + 0.3,
                "mean_predicted": low + 0.1, "share_positive": low, "count": 250,
            }
            for low in (0.1, 0.6)
        ]  # fmt: skip

    names = ("none", "temperature")
    rows = [row for name in names for row in reliability(name)]
    errors = {"ece": 0.3124, "brier": 0.2, "brier_of_base_rate": 0.0736}
    return CalibrationFacts(
        numbers={1: {**errors, "num_positives": 40.0, "num_negatives": 460.0}},
        reliability={1: pa.Table.from_pylist(reliability("none"), schema=RELIABILITY)},
        fitted_round=1,
        measures={
            "test": pa.Table.from_pylist(
                [measured("none", 0.3), measured("temperature", after)],
                schema=CALIBRATION_MEASURES,
            )
        },
        fitted={"test": pa.Table.from_pylist(rows, schema=RELIABILITY)},
    )


def test_calibration_is_told_by_round_and_before_and_after(data):
    full = replace(data, calibration=calibration_facts(0.05))
    markdown = render_markdown(full)
    for expected in (
        "a large error is what a healthy round has",
        "| round 1 | 0.312 | 0.200 | 0.074 | 8.0% |",
        "| test | sigmoid of the logit | 0.300 | 0.100 | 40 of 500 |",
        "| test | temperature scaling | 0.050 | 0.100 | 40 of 500 |",
        "Temperature scaling was fitted on dev for round 1",
    ):
        assert expected in markdown
    assert "does not help" not in markdown
    html = render_html(full)
    page = Page(html)
    assert page.tags.count("svg") == 4
    assert "var(--fused, #0072b2)" in html[html.index("Share of positives by probability") :]
    assert "temperature scaling" in page.texts
    assert "share of positives" in page.texts


def test_a_calibration_that_does_not_help_is_called_so(data):
    full = replace(data, calibration=calibration_facts(0.4))
    assert "It does not help: on test the ECE is 0.400 after 0.300." in render_markdown(full)


def test_rerankers_from_outside_are_in_the_table_the_plot_and_the_verdict(data, tables):
    base = np.linspace(0.2, 0.8, 60)
    rows = pa.concat_tables(
        [
            tables.metric_rows(base, ranking="first_stage", split="test"),
            tables.metric_rows(base + 0.01, ranking="reranker", split="test"),
            tables.metric_rows(base + 0.123, split="test"),
        ]
    )
    outsiders = [
        Outsider("minilm-<b>", "off the shelf", rows),
        Outsider("round 2 of other", "champion", rows),
    ]
    _, outside = results_tables({0: rows}, outsiders, split="test", seed=1, samples=200)
    full = replace(data, outside=outside, champion=None, champion_name="round 2 of other")
    assert verdict(full) == (
        "The champion is still round 2 of other (nDCG@10 on test 0.623): no round of this run was"
        " promoted."
    )
    lines = render_markdown(full).splitlines()
    assert any(line.startswith("| minilm-&lt;b> (off the shelf), alone | 0.510 ") for line in lines)
    strong = [line for line in lines if line.startswith("| **")]
    assert [line.split("|")[1] for line in strong] == [" **round 2 of other (champion), fused** "]
    svg = rounds_plot(data.results, metric="nDCG@10", outside=outside)
    assert "minilm-&lt;b&gt;" in svg
    assert rounds_plot(data.results, metric="nDCG@10").count("round 2 of") == 0


def test_every_round_has_the_numbers_of_its_scores_and_a_healthy_run_says_so(data):
    text = render_markdown(data)
    assert "| on dev | AUC | KS | gap | moved |" in text
    assert "| round 1 | 0.912 | 0.500 | 1.25 | -0.40 |" in text
    assert "No alarm" not in text
    healthy = replace(data.rounds[1], scores=ScoreFacts({"auc": 0.9}))
    assert "No alarm in any round." in render_markdown(replace(data, rounds={1: healthy}))


def test_the_note_explains_the_columns_that_are_there_and_no_others(data):
    def text(**numbers):
        facts = replace(data.rounds[1], scores=ScoreFacts(numbers))
        return render_markdown(replace(data, rounds={1: facts}))

    assert "The loss is that of the training's last quarter" in text(auc=0.9, loss_share=0.5)
    without = text(auc=0.9, spread=0.2)
    assert "AUC and KS" in without
    assert "The spread is" in without
    assert not re.search(
        "The loss is|AUC within|The gap|Outscored are|Moved is|Stretched is", without
    )


def test_every_number_that_is_told_is_explained():
    assert {name for names in MEANINGS for name in names} == set(COLUMNS)


def test_a_run_of_a_hundred_rounds_stays_below_two_megabytes(data):
    many = replace(data, rounds=dict.fromkeys(range(1, 101), data.rounds[1]))
    html = render_html(many)
    assert len(html.encode()) < 2_000_000
    assert "Drawn are round 1 and the last 11 rounds." in html
    assert "Reranker scores of round 89 on dev" not in html
    assert "Reranker scores of round 90 on dev" in html
    assert render_markdown(many).count("| 0.912 |") == 100


@pytest.mark.parametrize(
    ("mined_by", "suggested"),
    [
        ({1: "first_stage", 2: "fused", 3: "reranker"}, "--round 3 --margin"),
        ({1: "first_stage", 2: "fused", 3: "first_stage"}, "--round 2 --margin"),
        ({1: "first_stage", 2: "first_stage"}, None),  # its scores have another margin
        ({}, None),
    ],
)
def test_mining_with_another_margin_is_suggested_where_it_is_read(mined_by, suggested):
    text = commands("demo", "1.0", round_=None, mined_by=mined_by)
    assert ("strop mine" in text) == (suggested is not None)
    assert (suggested or "strop assess strop.yaml") in text


def test_what_mined_reads_in_plain_words(data):
    facts = RoundFacts(mining={"mined_by": "first_stage"})
    assert "| 1 | first stage |" in render_markdown(replace(data, rounds={1: facts}))


def test_names_of_many_rounds_do_not_run_into_each_other(data):
    def named(count):
        rows = data.results.to_pylist()
        last = [row for row in rows if row["round"] == 1]
        more = [{**row, "round": number} for number in range(2, count) for row in last]
        results = pa.Table.from_pylist(rows + more, schema=data.results.schema)
        return re.findall(r">(untuned base|round \d+)<", rounds_plot(results, metric="nDCG@10"))

    assert named(4) == ["untuned base", "round 1", "round 2", "round 3"]
    assert named(30) == ["untuned base", *(f"round {n}" for n in range(4, 30, 4))]


def test_figures_on_the_split_that_chose_the_weights_are_called_flattering(data):
    assert "flatter" not in render_markdown(data)
    column = pa.array(["dev"] * len(data.results)).dictionary_encode()
    place = data.results.schema.get_field_index("split")
    on_dev = data.results.set_column(place, "split", column).cast(data.results.schema)
    assert "its fused figures flatter a little" in render_markdown(replace(data, results=on_dev))


def test_the_curve_of_a_run_s_only_round_is_not_faint():
    curve = [(0.0, 0.5), (0.5, 0.56), (1.0, 0.4)]
    lone = weight_plot({"round 1": curve}, {"round 1": 0.5}, metric="nDCG@10", split="dev")
    assert "opacity: 0.35" not in lone
    two = {"round 1": curve, "round 2": curve}
    both = weight_plot(two, dict.fromkeys(two, 0.5), metric="nDCG@10", split="dev")
    assert "opacity: 0.35" in both


def test_one_query_is_said_in_the_singular(data):
    place = data.results.schema.get_field_index("n")
    ones = pa.array([1] * len(data.results), pa.int32())
    told = render_markdown(replace(data, results=data.results.set_column(place, "n", ones)))
    assert "1 query of the split test" in told
    assert ", 1 query): a significant gain" in told
