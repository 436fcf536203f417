"""One file per fusion rule, named as `--rule` has it (max_confidence.py is `max-confidence`).

The contract is `FusionRule` in sercli/contracts.py. A rule that learns something is a `LearnsFromPredictions` or a
`TrainsNetwork`, too.
"""
