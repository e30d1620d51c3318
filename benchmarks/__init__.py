"""What the kit measures of itself; every number in `data/` and the README comes from here.

    python -m benchmarks.experiments.NAME   a question, its arms and seeds: rows of a CSV in data/
    python -m benchmarks.speed.NAME         tokens a second and bytes, beside other people's code
    python -m benchmarks.recordings.NAME    what lessons replay: candidates, labels, an adapter

`runner` runs the experiments and shows how to add one; `results/` holds what `speed` measured and
the README's picture.  All commands are called in the folder that holds `benchmarks/`.
"""
