"""strop sharpens a reranker on its own mistakes.

A round retrieves candidates, scores them with the last round's reranker, mines hard negatives,
trains the cross-encoder on groups of one positive and many negatives, evaluates, and decides.

* ``strop.flows``     the DAG, as Prefect flows: prepare, one round, improve, assess, promote
* ``strop.tasks``     one thin Prefect task a stage: look up, compute, commit
* ``strop.pipeline``  the domain: data, first stage, scoring, mining, training, evaluation, reports
* ``strop.artifacts`` the versioned store that every stage reads from and writes to
* ``strop.cli``       the ``strop`` command
"""

__version__ = "0.1.0"
