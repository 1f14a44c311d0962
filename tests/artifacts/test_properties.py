"""Laws of ids, of tables, and of what commits, pins, refs, leases and collections leave behind."""

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from strop.artifacts import pins, refs
from strop.artifacts.canonical import digest
from strop.artifacts.errors import Busy, Conflict
from strop.artifacts.inspection.catalog import Entry, read_catalog
from strop.artifacts.manifest import ArtifactRef, Manifest, Recipe
from strop.artifacts.runs import Run
from strop.artifacts.schemas import TABLES
from strop.artifacts.store import Store
from strop.artifacts.tables import read_table, write_batches
from strop.artifacts.upkeep.collect import collect
from strop.artifacts.upkeep.plan import Policy
from strop.artifacts.verify import verify

names = st.text(max_size=4)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | names
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
parameters = st.dictionaries(names, values, max_size=4)


def key(given: dict[str, Any]) -> str:
    return Recipe("scores", "score", 1, given, {}).key


def spelled(value: Any) -> Any:
    """A value such that two are the same identity exactly when they are spelled the same."""
    if isinstance(value, dict):
        return {name: spelled(item) for name, item in value.items()}
    if isinstance(value, list):
        return [spelled(item) for item in value]
    return (type(value).__name__, repr(value))


@given(parameters, parameters)
def test_ids_are_equal_exactly_where_parameters_are(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert (key(a) == key(b)) == (spelled(a) == spelled(b))


@given(parameters, st.randoms())
def test_the_order_of_keys_is_no_part_of_an_id(given: dict[str, Any], random: Any) -> None:
    items = list(given.items())
    random.shuffle(items)
    assert key(dict(items)) == key(given)


@given(parameters, names, scalars)
def test_one_more_nested_value_is_another_id(given: dict[str, Any], name: str, value: Any) -> None:
    assert key({**given, "nested": {name: value}}) != key({**given, "nested": {}})
    assert key({**given, "nested": [value]}) != key({**given, "nested": value})


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_neighbouring_floats_have_two_ids(value: float) -> None:
    other = math.nextafter(value, math.inf)
    assert math.isinf(other) or (digest(value) == digest(other)) == (repr(value) == repr(other))


def cells(kind: pa.DataType, *, nullable: bool) -> st.SearchStrategy[Any]:
    """Values of an Arrow type."""
    if pa.types.is_dictionary(kind):
        found: st.SearchStrategy[Any] = st.text(max_size=3)
    elif pa.types.is_string(kind):
        found = st.text(max_size=6)
    elif pa.types.is_boolean(kind):
        found = st.booleans()
    elif pa.types.is_integer(kind):
        bound = 2 ** (kind.bit_width - 1) - 1
        found = st.integers(-bound, bound)
    elif pa.types.is_floating(kind):
        found = st.floats(width=kind.bit_width, allow_nan=False)
    elif pa.types.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        found = st.fixed_dictionaries(
            {field.name: cells(field.type, nullable=field.nullable) for field in fields}
        )
    elif pa.types.is_map(kind):
        inner = st.dictionaries(
            st.text(max_size=3), cells(kind.item_type, nullable=False), max_size=2
        )
        found = inner.map(lambda mapping: list(mapping.items()))
    else:
        found = st.lists(cells(kind.value_type, nullable=False), max_size=2)
    return st.none() | found if nullable else found


SCHEMAS = [(kind, name) for kind, declared in TABLES.items() for name in declared]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_every_declared_table_comes_back_as_it_was(data: st.DataObject) -> None:
    kind, name = data.draw(st.sampled_from(SCHEMAS))
    schema = TABLES[kind][name]
    row = st.fixed_dictionaries(
        {field.name: cells(field.type, nullable=field.nullable) for field in schema}
    )
    rows = data.draw(st.lists(row, max_size=5))
    cut = data.draw(st.integers(0, len(rows)))
    parts = [pa.Table.from_pylist(part, schema=schema) for part in (rows[:cut], rows[cut:])]
    with TemporaryDirectory() as folder:
        write_batches(Path(folder) / "t.parquet", parts, schema)
        found = read_table(Path(folder) / "t.parquet")
    assert found.schema == schema
    assert found.to_pylist() == pa.Table.from_pylist(rows, schema=schema).to_pylist()


class StoreMachine(RuleBasedStateMachine):
    """Commits, pins, moves of a champion, runs and collections in any order.

    The model knows what must be there: everything that a record, a ref or a pin speaks of, and
    all that it was made from.
    """

    @initialize()
    def make_store(self) -> None:
        self.folder = TemporaryDirectory()
        self.store = Store(Path(self.folder.name) / "store")
        self.made: dict[str, Manifest] = {}
        self.roots: dict[str, set[str]] = {"pins": set(), "ref": set(), "run": set()}
        self.moves = 0

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def there(self) -> list[Manifest]:
        return [item for item in self.made.values() if item in self.store.artifacts()]

    def needed(self) -> set[str]:
        found: set[str] = set()
        waiting = [name for names in self.roots.values() for name in names]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [ref.id for ref in self.made[name].inputs.values()]
        return found

    @rule(number=st.integers(0, 4), data=st.data())
    def commit(self, number: int, data: st.DataObject) -> None:
        parents = [None, *sorted(self.there(), key=lambda item: item.id)]
        parent = data.draw(st.sampled_from(parents))
        inputs: dict[str, ArtifactRef] = {"of": parent.ref} if parent else {}
        recipe = Recipe("scores", "score", 1, {"number": number}, inputs)
        found = self.store.lookup(recipe)
        assert (found is not None) == (recipe.id in {item.id for item in self.store.artifacts()})
        with self.store.attempt(recipe) as attempt:
            (attempt.folder / "text.txt").write_text(recipe.key)
            made = self.store.commit(attempt, summary={})
        assert found is None or made == found
        self.made[made.id] = made

    @rule(number=st.integers(5, 8))
    def fail(self, number: int) -> None:
        recipe = Recipe("scores", "score", 1, {"number": number}, {})
        try:
            with self.store.attempt(recipe) as attempt:
                (attempt.folder / "half.txt").touch()
                raise ValueError
        except ValueError:
            assert self.store.lookup(recipe) is None

    @precondition(lambda self: self.there())
    @rule(data=st.data(), keep=st.booleans())
    def pin(self, data: st.DataObject, keep: bool) -> None:
        item = data.draw(st.sampled_from(sorted(self.there(), key=lambda item: item.id)))
        if keep:
            pins.keep(self.store.root, item.kind, item.id, "")
            self.roots["pins"].add(item.id)
        else:
            assert pins.let_go(self.store.root, item.kind, item.id) == (
                item.id in self.roots["pins"]
            )
            self.roots["pins"].discard(item.id)

    @precondition(lambda self: self.there())
    @rule(data=st.data(), stale=st.booleans())
    def move(self, data: st.DataObject, stale: bool) -> None:
        item = data.draw(st.sampled_from(sorted(self.there(), key=lambda item: item.id)))
        seen = refs.read(self.store, "champion")
        assert seen.generation == self.moves
        if stale and seen.generation:
            try:
                refs.move(self.store, refs.Ref("champion", seen.generation - 1, None), {})
            except Conflict:
                return
            raise AssertionError("a stale move was accepted")
        refs.move(self.store, seen, {"reranker": vars(item.ref)})
        self.roots["ref"].add(item.id)
        self.moves += 1

    @precondition(lambda self: self.there())
    @rule(data=st.data())
    def record(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(sorted(self.there(), key=lambda item: item.id)))
        run = Run(self.store, "tiny")
        run.claim({})
        with run.lease() as lease:
            try:
                with Run(self.store, "tiny").lease():
                    raise AssertionError("two held the lease")
            except Busy:
                run.record(lease, "prepare", {"scores": item.ref})
        self.roots["run"] = {item.id}

    @rule()
    def forget_process(self) -> None:
        """As if the process that pinned by its work had ended."""
        for folder in (self.store.root / "pins").glob("*"):
            if folder.name != pins.KEPT:
                for path in folder.glob("*/*"):
                    path.unlink()

    @rule()
    def collect(self) -> None:
        used = {name for _, name in pins.pinned(self.store.root)}
        before = {item.id for item in self.store.artifacts()}
        gone = {
            item.id for item in collect(self.store, Policy(keep_days=0, grace_seconds=0)).artifacts
        }
        after = {item.id for item in self.store.artifacts()}
        self.roots["used"] = used & before
        assert gone == before - self.needed()
        assert after == before - gone
        self.roots["used"] = set()

    @invariant()
    def what_is_spoken_of_is_whole(self) -> None:
        if not hasattr(self, "store"):
            return
        there = self.store.artifacts()
        assert {item.id for item in there} >= self.needed()
        assert not any(defects for _, defects in verify(self.store, there, deep=True))
        assert read_catalog(self.store).entries == [Entry.of(item) for item in there]


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=15,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
