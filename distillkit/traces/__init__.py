"""From a problem to a verified trace.

- `templates`: chain-of-thought templates, written and read strictly
- `candidates`: what a teacher wrote, journaled
- `server_teacher`: teachers behind an OpenAI-compatible server
- `server_answers`: what servers answer, read as each of them writes it
- `teachers`: recorded, solver and local teachers
- `filters`: rejection sampling: rules, funnel, pass@k, 80/20 mix
"""
