"""The task, without torch: equations, their solutions and their answers.

- `algebra`: exact linear algebra on untrusted text
- `equations`: families, the seeded generator and the hashed split
- `wordings`: the same problem in other words, and as a story
- `solver`: exact steps
- `collect_form`: the form that leaves nothing to keep in mind
- `trace_forms`: other ways to write the steps
- `judging`: is this worked solution right?
- `answers`: which answer does a text give?
"""
