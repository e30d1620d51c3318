"""The jobs of the commands, from settings to a report.

- `recipes`: settings, tiers and curricula
- `figures`: the figures of a report
- `report`: the page and its numbers
- `demo`: the main job
- `distill_file`: training on a file of your own
- `export`: the student in the forms that other programs read
- `chat`: talk to a student in the terminal
- `usb`: a folder with all that a class needs offline
"""
