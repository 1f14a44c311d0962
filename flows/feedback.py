"""Feedback: what the rounds so far say about the group size."""

from strop.flows.accepted import last_accepted, made_by
from strop.flows.session import Session
from strop.tasks.feed_back import GroupSize, group_size_after


def group_size(session: Session, number: int) -> GroupSize:
    """The mean group size of a round; the config's own unless it asks for feedback."""
    earlier = range(2, number) if session.config.mining.feedback else ()
    rounds = [
        (before, made_by(session, last_accepted(session, before)), made_by(session, before))
        for before in earlier
        if last_accepted(session, before)
    ]
    diagnosed = [pair for pair in rounds if "diagnosis" in pair[2]]
    return group_size_after(session.store, session.config, diagnosed)
