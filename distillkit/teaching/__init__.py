"""The frame of a lesson.

- `lesson`: the table of lessons, how one starts, a copy of one's own
- `lab`: JupyterLab for a learner
- `widgets`: explorers with their static twin, and pages
- `compare`: when are two results the same, and how do they differ?
- `relation`: how do wrong results follow from the right ones?
- `nearby`: which change of the kit's function gives what a wrong attempt gives?
- `otherwise`: what may go wrong with one operation
- `attempt`: running a learner's function
- `exercise`: checks that name the mistake, and hints
- `kl_mistakes`: mistakes that divergences share
- `record`: what a learner has tried and solved, on this machine
- `grades`: a class's table from the pages that learners handed in
- `instructor`: slides, answer key, a test and plans for whoever teaches
- `rescue`: a cell that stops before its check
- `recorded`: the kit's tables in a lesson
- `claims`: the ledger of claims
"""
