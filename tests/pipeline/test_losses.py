import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder import losses as peers
from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss

from strop.pipeline.config import Loss
from strop.pipeline.errors import InputError
from strop.pipeline.training.losses.scored_groups import ScoredGroups
from strop.pipeline.training.losses.total_loss import LOSSES, total_loss

TEMPERATURE = 0.7
PARAMETERS: dict[str, dict[str, float | int | None]] = {
    "group_softmax": {},
    "binary_cross_entropy": {"positive_weight": 3.0},
    "circle": {"margin": 0.3, "scale": 12.0},
    "lambda": {"scale": 1.5, "cutoff": 3, "pair_weight": 5.0},
    "margin_mse": {},
    "kl": {"teacher_temperature": 2.0},
}
EVERY_LOSS = pytest.mark.parametrize("name", PARAMETERS)


def configured(name: str, **changes: object) -> Loss:
    values = {"name": name, **PARAMETERS[name], **changes}
    return TypeAdapter(Loss).validate_python(values)


def make_groups(scores: torch.Tensor, sizes: list[int], seed: int = 0) -> ScoredGroups:
    """Groups of these sizes with plain weights, a grade of 2, and random teacher scores."""
    lengths = torch.tensor(sizes)
    first = lengths.cumsum(0) - lengths
    grades = torch.zeros(len(scores), dtype=torch.int64)
    grades[first] = 2
    teacher = np.random.default_rng(seed + 1000).normal(0, 2, len(scores))
    return ScoredGroups(
        scores=scores,
        group_of_member=torch.arange(len(sizes)).repeat_interleave(lengths),
        positive_members=first,
        group_weights=torch.ones(len(sizes), dtype=scores.dtype),
        member_weights=torch.ones(len(scores), dtype=scores.dtype),
        grades=grades,
        teacher_scores=torch.from_numpy(teacher).to(scores.dtype),
        largest=max(sizes),
    )


def random_groups(seed: int, *, weighted: bool) -> ScoredGroups:
    """Ragged groups, one without negatives and one huge, with scores that need a gradient."""
    random = np.random.default_rng(seed)
    sizes = [*random.integers(2, 9, 5).tolist(), 1, 40]
    scores = torch.from_numpy(random.normal(0, 3, sum(sizes))).requires_grad_()
    groups = make_groups(scores, sizes, seed)
    if not weighted:
        return groups
    members = torch.from_numpy(random.choice([1.0, 0.25], sum(sizes)))
    members[groups.positive_members] = 1.0
    return replace(
        groups,
        group_weights=torch.from_numpy(random.uniform(0.2, 3.0, len(sizes))),
        member_weights=members,
    )


def split(groups: ScoredGroups) -> list[list[int]]:
    """The places of every group's members."""
    owners = groups.group_of_member.tolist()
    return [
        [place for place, owner in enumerate(owners) if owner == number]
        for number in range(len(groups.positive_members))
    ]


def assert_same(groups: ScoredGroups, found: torch.Tensor, expected: torch.Tensor) -> None:
    """Values and gradients agree to 1e-6."""
    gradients = [torch.autograd.grad(value, groups.scores)[0] for value in (found, expected)]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-6)
    assert gradients[0].abs().max() > 1e-3


# The papers' formulas, a group and a member at a time: scores, weights and teacher's scores of one
# group, the positive first.
Formula = Callable[[list[torch.Tensor], list[float], list[float]], torch.Tensor]


def softmax_formula(s: list[torch.Tensor], w: list[float], t: list[float]) -> torch.Tensor:
    terms = [weight * torch.exp(score / TEMPERATURE) for score, weight in zip(s, w, strict=True)]
    return -torch.log(terms[0] / sum(terms))


def binary_formula(s: list[torch.Tensor], w: list[float], t: list[float]) -> torch.Tensor:
    terms = [-3.0 * torch.log(1 / (1 + torch.exp(-s[0])))]
    terms += [-torch.log(1 - 1 / (1 + torch.exp(-score))) for score in s[1:]]
    return sum(a * b for a, b in zip(w, terms, strict=True)) / sum(w)


def circle_formula(s: list[torch.Tensor], w: list[float], t: list[float]) -> torch.Tensor:
    margin, scale = 0.3, 12.0
    near, *far = [1 / (1 + torch.exp(-score)) for score in s]
    pull = torch.exp(-scale * max(0, 1 + margin - near.item()) * (near - (1 - margin)))
    push = sum(
        weight * torch.exp(scale * max(0, value.item() + margin) * (value - margin))
        for value, weight in zip(far, w[1:], strict=True)
    )
    return torch.log(1 + push * pull)


def lambda_formula(s: list[torch.Tensor], w: list[float], t: list[float]) -> torch.Tensor:
    scale, cutoff, pair_weight, grade = 1.5, 3, 5.0, 2
    order = sorted(range(len(s)), key=lambda place: -s[place].item())
    rank = {place: position for position, place in enumerate(order, start=1)}
    gain = (2**grade - 1) / ((2**grade - 1) / math.log2(2))  # ideal DCG: the positive comes first
    total, weight = s[0] * 0, 0.0
    for j in range(1, len(s)):
        if min(rank[0], rank[j]) > cutoff:
            continue
        gap = abs(rank[0] - rank[j])
        change = abs(1 / math.log2(1 + gap) - 1 / math.log2(2 + gap))
        swap = abs(1 / math.log2(1 + rank[0]) - 1 / math.log2(1 + rank[j]))
        logistic = torch.log2(1 + torch.exp(-scale * (s[0] - s[j])))
        total = total + w[j] * (pair_weight * change + swap) * gain * logistic
        weight += w[j]
    return total / (weight or 1.0)


def margin_formula(s: list[torch.Tensor], w: list[float], t: list[float]) -> torch.Tensor:
    terms = [w[j] * ((s[0] - s[j]) - (t[0] - t[j])) ** 2 for j in range(1, len(s))]
    return s[0] * 0 + sum(terms) / (sum(w[1:]) or 1.0)


def kl_formula(s: list[torch.Tensor], w: list[float], t: list[float]) -> torch.Tensor:
    ours = [weight * torch.exp(score / TEMPERATURE) for score, weight in zip(s, w, strict=True)]
    theirs = [weight * math.exp(score / 2.0) for score, weight in zip(t, w, strict=True)]
    total = s[0] * 0
    for mine, target in zip(ours, theirs, strict=True):
        share = target / sum(theirs)
        total = total + share * (math.log(share) - torch.log(mine / sum(ours)))
    return total


FORMULAS: dict[str, Formula] = {
    "group_softmax": softmax_formula,
    "binary_cross_entropy": binary_formula,
    "circle": circle_formula,
    "lambda": lambda_formula,
    "margin_mse": margin_formula,
    "kl": kl_formula,
}


def transcribed(name: str, groups: ScoredGroups) -> torch.Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for weight, members in zip(groups.group_weights.tolist(), split(groups), strict=True):
        scores = [groups.scores[place] for place in members]
        weights = [groups.member_weights[place].item() for place in members]
        teacher = [groups.teacher_scores[place].item() for place in members]
        total = total + weight * FORMULAS[name](scores, weights, teacher)
    return total


@EVERY_LOSS
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_values_and_gradients_are_those_of_the_formula(
    name: str, weighted: bool, seed: int
) -> None:
    groups = random_groups(seed, weighted=weighted)
    found = total_loss(groups, (configured(name),), temperature=TEMPERATURE)
    assert_same(groups, found, transcribed(name, groups))


class GivenLogits(CrossEncoder):
    """A cross-encoder whose passages are places in a tensor of logits: it feeds peers' losses."""

    num_labels = 1
    device = torch.device("cpu")

    def __init__(self, scores: torch.Tensor) -> None:
        torch.nn.Module.__init__(self)
        self.scores = scores

    def preprocess(self, inputs: list[tuple[str, str]], **rest: object) -> dict[str, torch.Tensor]:
        return {"places": torch.tensor([int(passage) for _, passage in inputs])}

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"scores": self.scores[inputs["places"]].unsqueeze(1)}


@pytest.fixture
def double_precision(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Peers cast to float32; here the same code computes in float64."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


Peer = Callable[[GivenLogits, list[int], ScoredGroups], torch.Tensor]


def peer_ranking(model: GivenLogits, members: list[int], groups: ScoredGroups) -> torch.Tensor:
    loss = peers.MultipleNegativesRankingLoss(model, scale=1 / TEMPERATURE, activation_fn=None)
    return loss([["q"], *([str(place)] for place in members)], torch.zeros(1))


def peer_binary(model: GivenLogits, members: list[int], groups: ScoredGroups) -> torch.Tensor:
    loss = peers.BinaryCrossEntropyLoss(model, pos_weight=torch.tensor(3.0))
    labels = torch.tensor([1.0] + [0.0] * (len(members) - 1))
    return loss([["q"] * len(members), [str(place) for place in members]], labels)


def peer_lambda(model: GivenLogits, members: list[int], groups: ScoredGroups) -> torch.Tensor:
    loss = peers.LambdaLoss(model, peers.NDCGLoss2PPScheme(mu=5.0), k=3, sigma=1.5)
    return loss([["q"], [[str(place) for place in members]]], [groups.grades[members]])


def peer_margins(model: GivenLogits, members: list[int], groups: ScoredGroups) -> torch.Tensor:
    loss = peers.MarginMSELoss(model)
    labels = groups.teacher_scores[members].unsqueeze(0)
    return loss([["q"], *([str(place)] for place in members)], labels)


def peer_divergence(model: GivenLogits, members: list[int], groups: ScoredGroups) -> torch.Tensor:
    loss = DistillKLDivLoss(model, student_temperature=TEMPERATURE, teacher_temperature=2.0)
    vectors = [torch.ones(1, 1), *(model.scores[place].view(1, 1) for place in members)]
    labels = groups.teacher_scores[members].unsqueeze(0)
    return loss.compute_loss_from_embeddings(vectors, labels) / TEMPERATURE**2


PEERS: dict[str, Peer] = {
    "group_softmax": peer_ranking,
    "binary_cross_entropy": peer_binary,
    "lambda": peer_lambda,
    "margin_mse": peer_margins,
    "kl": peer_divergence,
}


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients_are_those_of_sentence_transformers(name: str, seed: int) -> None:
    groups = random_groups(seed, weighted=False)
    model = GivenLogits(groups.scores)
    expected = sum(
        PEERS[name](model, members, groups) for members in split(groups) if len(members) > 1
    )
    if name == "binary_cross_entropy":  # a lone positive has a loss here
        expected += PEERS[name](model, split(groups)[5], groups)
    found = total_loss(groups, (configured(name),), temperature=TEMPERATURE)
    assert_same(groups, found, expected)


def test_equal_groups_have_the_group_cross_entropy_of_flag_embedding() -> None:
    random = np.random.default_rng(3)
    scores = torch.from_numpy(random.normal(0, 3, 48)).requires_grad_()
    groups = make_groups(scores, [8] * 6)
    target = torch.zeros(6, dtype=torch.long)
    expected = torch.nn.functional.cross_entropy(scores.view(-1, 8), target)
    found = total_loss(groups, (configured("group_softmax"),), temperature=1.0) / 6
    assert_same(groups, found, expected)


def test_distillation_in_flag_embedding_differs_by_the_teachers_entropy_alone() -> None:
    random = np.random.default_rng(4)
    scores = torch.from_numpy(random.normal(0, 3, 24)).requires_grad_()
    groups = make_groups(scores, [8] * 3)
    shares = groups.teacher_scores.view(3, 8).softmax(dim=1)
    cross_entropy = -(scores.view(3, 8).log_softmax(dim=1) * shares).sum()
    entropy = -(shares * shares.log()).sum()
    found = total_loss(groups, (configured("kl", teacher_temperature=1.0),), temperature=1.0)
    assert_same(groups, found, cross_entropy - entropy)


def value(
    name: str, scores: list[float], *, temperature: float = 1.0, **changes: object
) -> tuple[float, torch.Tensor]:
    """The loss of one group, and its gradient."""
    tensor = torch.tensor(scores, dtype=torch.float64, requires_grad=True)
    groups = replace(make_groups(tensor, [len(scores)]), teacher_scores=torch.tensor(scores) * 0)
    loss = total_loss(groups, (configured(name, **changes),), temperature=temperature)
    return loss.item(), torch.autograd.grad(loss, tensor)[0]


@pytest.mark.parametrize("size", [2, 16, 1000])
def test_equal_scores_have_the_loss_of_collapse(size: int) -> None:
    assert value("group_softmax", [0.5] * size)[0] == pytest.approx(math.log(size))


def test_small_groups_by_hand() -> None:
    # 1 / (1 + 3) = 1/4; ln 2 for every member; ranks 2 and 1: one pair, log2(1 + 3) = 2, with the
    # weight 10 · |1 - 1/log2(3)| + |1/log2(3) - 1|
    assert value("group_softmax", [0, math.log(3)])[0] == pytest.approx(math.log(4))
    assert value("binary_cross_entropy", [0, 0], positive_weight=1)[0] == pytest.approx(math.log(2))
    weight = 11 * (1 - 1 / math.log2(3))
    found, _ = value("lambda", [0, math.log(3)], scale=1, pair_weight=10)
    assert found == pytest.approx(2 * weight)
    assert value("margin_mse", [1, 0, 4])[0] == pytest.approx((1**2 + 3**2) / 2)
    # teacher (1/2, 1/2), reranker (1/4, 3/4)
    assert value("kl", [0, math.log(3)])[0] == pytest.approx(math.log(2) - 0.5 * math.log(3))


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "scores",
    [
        [1e4, -1e4, 1e4, -1e4, 1e4, 0.0],
        [-1e4, 1e4, 1e4, -1e4, 1e4, 1e4],
        [0.0] * 6,
        [1e4] * 6,
        [-1e4] * 6,
    ],
)
def test_extreme_and_equal_logits_stay_finite(
    name: str, dtype: torch.dtype, scores: list[float]
) -> None:
    tensor = torch.tensor([*scores, 1.0], dtype=dtype, requires_grad=True)
    groups = make_groups(tensor, [2, 4, 1])
    groups = replace(groups, teacher_scores=torch.tensor([*scores[::-1], 1.0], dtype=dtype))
    loss = total_loss(groups, (configured(name),), temperature=0.05)
    (gradient,) = torch.autograd.grad(loss, tensor)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["group_softmax", "binary_cross_entropy", "lambda", "kl"])
def test_a_badly_misordered_pair_still_pulls(name: str) -> None:
    _, gradient = value(name, [-1e4, 1e4])
    assert gradient[0] < -0.1
    assert gradient[1] > 0.1


@EVERY_LOSS
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_of_negatives_changes_nothing(name: str, seed: int) -> None:
    groups = random_groups(seed, weighted=True)
    random = np.random.default_rng(seed)
    order = torch.tensor(
        [place for first, *rest in split(groups) for place in (first, *random.permutation(rest))]
    )
    moved = replace(
        groups,
        scores=groups.scores[order],
        member_weights=groups.member_weights[order],
        teacher_scores=groups.teacher_scores[order],
    )
    losses = (configured(name),)
    found = total_loss(moved, losses, temperature=TEMPERATURE)
    assert_same(groups, found, total_loss(groups, losses, temperature=TEMPERATURE))


@EVERY_LOSS
def test_a_huge_group_leaves_the_others_as_they_are(name: str) -> None:
    scores = torch.from_numpy(np.random.default_rng(5).normal(0, 3, 1010)).requires_grad_()
    groups = make_groups(scores, [5, 1000, 5])
    parts = []
    for members in split(groups):
        alone = make_groups(scores[members], [len(members)])
        parts.append(replace(alone, teacher_scores=groups.teacher_scores[members]))
    losses = (configured(name),)
    expected = sum(total_loss(part, losses, temperature=1.0) for part in parts)
    assert_same(groups, total_loss(groups, losses, temperature=1.0), expected)


@pytest.mark.parametrize("name", ["group_softmax", "circle", "margin_mse", "kl"])
def test_a_member_of_hardly_any_weight_is_as_if_absent(name: str) -> None:
    scores = torch.tensor([0.3, 1.0, -0.5], dtype=torch.float64)
    groups = make_groups(scores, [3])
    light = replace(groups, member_weights=torch.tensor([1.0, 1e-12, 1.0], dtype=torch.float64))
    kept = replace(make_groups(scores[[0, 2]], [2]), teacher_scores=groups.teacher_scores[[0, 2]])
    losses = (configured(name),)
    expected = total_loss(kept, losses, temperature=1.0).item()
    assert total_loss(light, losses, temperature=1.0).item() == pytest.approx(expected, abs=1e-8)


def test_losses_are_summed_by_their_weights() -> None:
    groups = random_groups(7, weighted=True)
    parts = [total_loss(groups, (configured(name),), temperature=TEMPERATURE) for name in LOSSES]
    losses = tuple(configured(name, weight=0.5 + n) for n, name in enumerate(LOSSES))
    expected = sum((0.5 + n) * part for n, part in enumerate(parts))
    assert_same(groups, total_loss(groups, losses, temperature=TEMPERATURE), expected)


def test_every_loss_of_the_config_is_there() -> None:
    assert set(LOSSES) == set(PARAMETERS) == set(FORMULAS)


@pytest.mark.parametrize("name", ["margin_mse", "kl"])
def test_a_missing_teacher_is_named(name: str) -> None:
    groups = replace(random_groups(0, weighted=False), teacher_scores=None)
    with pytest.raises(InputError) as caught:
        total_loss(groups, (configured(name),), temperature=1.0)
    assert str(caught.value) == (
        f"training.losses has {name}, which needs a teacher's score of every member; "
        "the groups have none: set mining.teacher"
    )


def test_float32_scores_far_from_zero_keep_their_precision_and_type() -> None:
    scores = torch.tensor([500.0, 498.0, -500.0, -498.0], requires_grad=True)
    loss = total_loss(make_groups(scores, [2, 2]), (configured("group_softmax"),), temperature=1.0)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log1p(math.exp(-2)) + math.log1p(math.exp(2)))
