"""From a student to numbers with intervals.

- `statistics`: intervals, paired comparisons, results over seeds
- `scoring`: exact-match evaluation, strict and lenient
- `choosing`: one of several answers without the right one: votes, and steps that hold together
- `slips`: the first wrong step of an answer, by kind
- `calibration`: whether a model is right as often as it is sure
"""
