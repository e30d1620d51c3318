"""The instructor's kit: one folder of pages, made from the built lessons, the checks and data/.

- `sections`: a built lesson cut at its headings, and the minutes of each section
- `typeset`: Markdown and formulas as HTML that needs no network, and the frame of a page
- `slides`: a lesson as slides
- `key`: the answer key
- `quiz`: the test before and after the course
- `plans`: the plans of half a day and of two days
- `folder`: writes it all
"""
