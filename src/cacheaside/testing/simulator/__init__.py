"""The third driver of the flows: seeded schedules under virtual time, judged from outside by what readers got.

`python3 dev.py sim --help`; how it works and what it checks: docs/simulator.md.
"""
