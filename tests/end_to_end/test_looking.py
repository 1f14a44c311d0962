"""Commands that look at finished runs: the champion, runs beside each other."""

from tests.end_to_end.test_bad_input import refused


def test_the_champion_can_be_shown_with_its_reason(finished):
    project, _ = finished
    told = project.json("champion", "show", "strop.yaml")
    assert (told["champion"], told["run"], told["generation"]) == ("tiny", "tiny", 1)
    assert "nDCG@10 on dev" in told["reason"]
    shown = project.strop("champion", "history")
    assert shown.returncode == 0
    assert told["name"] in shown.stdout


def test_there_is_no_way_back_from_the_first_champion(finished):
    project, _ = finished
    refused(project.strop("champion", "rollback"), "ref tiny", "nothing before it")
    refused(project.strop("champion", "show", "absent"), "'absent'", "the champions are tiny")
    refused(project.strop("champion", "show", "--store", "nowhere"), "nowhere", "--store")
