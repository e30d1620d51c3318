"""The results page, `benchmarks/results/README.md`, and the numbers on the front page.

    python -m benchmarks.report            writes both anew
    python -m benchmarks.report --check    says which of them is not what the tables hold

A section is a function that reads tables and returns Markdown: `parts.section` with a heading, the
line that says where the numbers come from (`parts.origin`), tables and sentences.  To add one,
write the function and name it in `pages.SECTIONS`.  No measured number is typed: it is read, and
stands in a sentence as `{...}`.  What a command printed and no table keeps is typed inside of
`parts.noted`, which says so on the page.
"""
