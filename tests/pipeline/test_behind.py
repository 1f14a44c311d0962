"""Work that goes on in a thread beside what gives it."""

from threading import Event, Thread

import pytest

from strop.pipeline.data.behind import Behind


def test_pieces_are_done_in_order_and_one_at_most_waits() -> None:
    go_on, done = Event(), list[str]()

    def first() -> None:
        go_on.wait()
        done.append("first")

    with Behind() as behind:
        behind.do(first)
        behind.do(lambda: done.append("second"))  # waits, and does not hold up who gives it
        giving = Thread(target=behind.do, args=(lambda: done.append("third"),))
        giving.start()
        giving.join(0.1)
        had_to_wait = giving.is_alive()
        go_on.set()
        giving.join()
        behind.wait()
    assert had_to_wait
    assert done == ["first", "second", "third"]


def test_what_a_piece_raises_is_raised_where_the_next_ones_are_given() -> None:
    def fail() -> None:
        raise OSError("no space left")

    with Behind() as behind:
        behind.do(fail)
        behind.do(lambda: None)
        with pytest.raises(OSError, match="no space left"):
            behind.do(lambda: None)
