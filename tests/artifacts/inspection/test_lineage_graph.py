"""Lineages as pictures."""

from xml.etree import ElementTree

import pytest

from strop.artifacts import durable
from strop.artifacts.inspection.catalog import Entry, read_catalog
from strop.artifacts.inspection.lineage import Lineage, lineage
from strop.artifacts.inspection.lineage_graph import mermaid, svg
from strop.artifacts.store import Store

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def found(store: Store, make) -> Lineage:
    """dataset → candidates → scores, whose dataset is an input too; a model that is gone."""
    dataset, model = make("dataset"), make("model")
    candidates = make("candidates", dataset=dataset, model=model)
    make("scores", pool=candidates, dataset=dataset)
    durable.remove_tree(store.place(model).parent)
    return lineage(read_catalog(store).entries, Entry.of(candidates))


def test_mermaid_has_a_box_an_artifact_and_an_arrow_a_role(found: Lineage) -> None:
    names = {}
    for line in mermaid(found).splitlines():
        if '["' in line:
            names[line.split('["')[1].split()[0]] = line.split("[")[0].strip()
    arrows = {line.strip() for line in mermaid(found).splitlines() if "-->" in line}
    assert arrows == {
        f"{names['dataset']} -- dataset --> {names['candidates']}",
        f"{names['model']} -- model --> {names['candidates']}",
        f"{names['candidates']} -- pool --> {names['scores']}",
        f"{names['dataset']} -- dataset --> {names['scores']}",
    }
    assert f"style {names['model']} stroke-dasharray" in mermaid(found)
    assert "model<br/>not in the store" not in mermaid(found)


def test_svg_draws_inputs_to_the_left_and_marks_what_is_gone(found: Lineage) -> None:
    root = ElementTree.fromstring(svg(found))
    boxes = {}
    for group in root.iter(f"{SVG}g"):
        box, name = group.find(f"{SVG}rect"), group.find(f"{SVG}text")
        boxes[name.text] = (int(box.get("x")), int(box.get("y")), box.get("class"))
    assert boxes["dataset"][0] == boxes["model"][0] < boxes["candidates"][0] < boxes["scores"][0]
    assert boxes["dataset"][1] != boxes["model"][1]
    assert (boxes["model"][2], boxes["candidates"][2]) == ("gone", "target")
    assert len(list(root.iter(f"{SVG}path"))) == 4


def test_a_single_artifact_is_a_picture_too(store: Store, make) -> None:
    alone = lineage([Entry.of(make("dataset"))], Entry.of(store.artifacts()[0]))
    assert len(list(ElementTree.fromstring(svg(alone)).iter(f"{SVG}g"))) == 1
