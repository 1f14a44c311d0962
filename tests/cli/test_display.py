import io

import pytest
from rich.console import Console

from strop.cli import display as display_file
from strop.cli.display import Display, headline
from strop.cli.importing import Wishes, run_import
from strop.cli.output import Loudness, set_loudness

SUMMARY = {"pairs": 1200, "steps": 10, "loss_first": 2.0, "loss_last": 1.0, "score_spread": 0.5}


@pytest.fixture
def told(request):
    """What a display says of one stage at a loudness, piped."""
    set_loudness(request.param)
    out = io.StringIO()
    with Display(Console(file=out, width=200)) as display:
        display.heading("static, seed 1")
        display.started("train · round 1")
        display.finished("train · round 1", reused=False, seconds=3, summary=SUMMARY)
    yield out.getvalue()
    set_loudness(Loudness.NORMAL)


@pytest.mark.parametrize("told", [Loudness.NORMAL], indirect=True)
def test_a_stage_is_a_line_with_its_headline_and_no_control_codes(told):
    lines = told.splitlines()
    assert lines[0] == "static, seed 1"
    figures = "1,200 pairs, 10 steps, loss first 2.000, loss last 1.000"
    assert " ".join(lines[1].split()) == f"✓ train · round 1 3.0 s {figures}"
    assert "\x1b" not in told


@pytest.mark.parametrize("told", [Loudness.QUIET], indirect=True)
def test_quiet_says_nothing_of_stages(told):
    assert told == ""


@pytest.mark.parametrize("told", [Loudness.VERBOSE], indirect=True)
def test_verbose_tells_all_figures(told):
    assert "score spread 0.500" in told


def test_a_stage_that_is_reused_reads_like_the_same_one_when_it_was_made():
    made = {"split": "dev", "queries": 20, "first_stage nDCG@10": 0.5, "fused nDCG@10": 0.75}
    read_back = dict(sorted(made.items()))
    told = "split dev, 20 queries, first stage nDCG@10 0.500, fused nDCG@10 0.750"
    assert headline("evaluate · round 1", made) == headline("evaluate", read_back) == told


def test_one_of_a_thing_is_said_in_the_singular():
    mined = {"mined_by": "first_stage", "queries": 1, "negatives": 2}
    mined |= {"suspects": 0, "queries_with_fewer_negatives": 1}
    assert headline("select · round 1", mined) == (
        "mined by first stage, 1 query, 2 negatives, 0 suspects, 1 query with fewer negatives"
    )
    counts = {"passages_at_the_limit": 1, "train_queries": 1, "loss": 1, "unfilled_slots": 1_000}
    assert headline("another", counts) == (
        "1 loss, 1 passage at the limit, 1 train query, 1,000 unfilled slots"
    )


def test_an_earlier_artifact_of_which_nothing_was_taken_is_not_told():
    made = {"passages": 9, "new_passages": 9, "reused_passages": 0, "reused_from": "117e21"}
    made |= {"new_queries": 2, "reused_queries": 0}
    assert headline("another", made) == "9 new passages, 2 new queries, 9 passages"
    told = headline("another", made | {"reused_passages": 4})
    assert told == (
        "reused from 117e21, 9 new passages, 2 new queries, 9 passages, 4 reused passages, "
        "0 reused queries"
    )


def test_a_stage_that_was_found_does_not_tell_what_making_it_took():
    made = {"passages": 9, "new_passages": 4, "reused_passages": 5, "reused_from": "117e21"}
    made |= {"queries": 3, "new_queries": 2, "reused_queries": 1, "width": 8}
    out = io.StringIO()
    display = Display(Console(file=out, width=200))
    for reused in (False, True):
        display.finished("encode · prepare", reused=reused, seconds=1, summary=made)
    first, second = out.getvalue().splitlines()
    assert first.endswith("9 passages, 4 new passages, 3 queries, 2 new queries, 8 width")
    assert second.endswith("reused  9 passages, 3 queries, 8 width")


def test_long_names_of_stages_take_the_room_of_the_time():
    out = io.StringIO()
    display = Display(Console(file=out, width=200))
    for stage in ("score · round 2", "leave out fold · round 1 without fold 1"):
        display.finished(stage, reused=False, seconds=1, summary={"pairs": 3})
    assert out.getvalue().splitlines() == [
        "✓ score · round 2                   1.0 s  3 pairs",
        "✓ leave out fold · round 1 without fold 1 1.0 s  3 pairs",
    ]
    assert headline("time reranking", {"p50 ms at depth 20": 1.5}) == "p50 ms at depth 20: 1.500"
    made = {"source": "data", "documents": 4, "passages": 9, "dev_queries": 5, "test_queries": 0}
    assert headline("purge", made) == "9 passages, 5 dev queries"


@pytest.mark.parametrize(
    ("stage", "made", "told"),
    [
        (
            "import run file",
            {"file": "a.trec", "rows": 40, "queries": 1, "first_line": 2},
            "a.trec, 40 rows, 1 query",
        ),
        (
            "import split",
            {
                "source": "data",
                "passages": 9,
                "dev_queries": 3,
                "train_queries": 0,
                "judgements": 4,
            },
            "9 passages, 3 dev queries",
        ),
        (
            "tokenize",
            {"passages": 9, "new_passages": 4, "reused_passages": 5, "reused_from": "117e21"},
            "9 passages, 4 new passages",
        ),
        (
            "review",
            {"not relevant": 0, "relevant": 6, "unsure": 1, "verdicts": 7},
            "7 verdicts, 6 relevant, 0 not relevant, 1 unsure",
        ),
    ],
)
def test_what_came_from_outside_is_told_by_its_counts(stage, made, told):
    assert headline(stage, made) == told


@pytest.mark.parametrize(
    ("verdict", "ending", "told"),
    [
        ("promoted", "promoted", "won"),
        ("awaiting", "awaits approval, round 1 stays champion until then", "won"),
        ("kept", "round 1 stays champion", "round 1 stays champion"),
    ],
)
def test_who_wins_the_gate_is_not_called_promoted_before_guard_sets_and_people_decide(
    verdict, ending, told
):
    compared = "round 2: fused nDCG@10 on gate 0.6 against 0.5 of round 1: +0.1, p = 0.01 < 0.05"
    made = {"verdict": verdict, "reason": f"{compared}: {ending}"}
    assert headline("promote · promote", made) == f"{compared}: {told}"
    set_loudness(Loudness.VERBOSE)
    verbose = headline("promote · promote", made)
    set_loudness(Loudness.NORMAL)
    assert verbose.endswith(f"verdict {'kept' if verdict == 'kept' else 'won'}")
    assert headline("hold guard sets · promote", made) == f"{compared}: {ending}"


def test_a_check_of_data_says_how_far_it_is(beir_folder, monkeypatch, capsys):
    monkeypatch.setattr(display_file, "PLAIN_SECONDS", 0)
    passages = len((beir_folder / "corpus.jsonl").read_text().splitlines())
    for json in (False, True):
        run_import("beir", str(beir_folder), "store", Wishes(), check=True, json=json)
        said = capsys.readouterr()
        told = (said.err if json else said.out).splitlines()[0].split(", ")
        assert told[0] == f"  check data: {passages:,} passages"
        assert said.err == "" if not json else said.out.startswith("{")


def test_brackets_in_a_stage_s_name_are_no_markup():
    out = io.StringIO()
    with Display(Console(file=out, width=200)) as display:
        display.heading("arm [x]")
        display.started(stage := "rank run file · [/runs].trec")
        display.finished(stage, reused=False, seconds=1, summary={"split": "[test]"})
    first, second = out.getvalue().splitlines()
    assert first == "arm [x]"
    assert second.split() == ["✓", *stage.split(), "1.0", "s", "split", "[test]"]


def test_depths_are_told_from_the_shallowest():
    timed = {f"p50 ms at depth {depth}": depth / 2 for depth in (10, 100, 5)}
    told = headline("time reranking", dict(sorted(timed.items())))
    assert [part.split()[4] for part in told.split(", ")] == ["5:", "10:", "100:"]


def test_counts_by_name_are_whole_numbers_and_shares_are_not():
    told = headline("note drift", {"old_negatives": {"same": 1320, "changed": 31}, "share": 0.5})
    assert told == "share 0.500, old negatives same 1,320, changed 31"
