"""The flows: prepare, one round, improve, assess, promote; each reads like the diagram."""

from strop.flows.refusals import tell_refusals_in_one_line

tell_refusals_in_one_line()
