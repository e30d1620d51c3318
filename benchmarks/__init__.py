"""What the kit measures of itself; every number in `data/` comes from here.

    python -m benchmarks.experiments.NAME   a question, its arms and seeds: rows of a CSV in data/
    python -m benchmarks.speed.NAME         tokens a second and bytes, beside other people's code
    python -m benchmarks.recordings.NAME    what lessons replay: candidates, labels, an adapter

    python -m benchmarks.report             all of it on one page, `results/README.md`

`runner` runs the experiments and shows how to add one; `results/` holds what `speed` measured and
the front page's picture.  All commands are called in the folder that holds `benchmarks/`.
"""
