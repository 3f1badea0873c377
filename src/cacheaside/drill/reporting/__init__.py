"""A report for people. `markdown`: for a pull request or a log. `html`: one page that needs nothing else; `plot`: its
pictures. All are functions of the data in `report`, and work nothing out by themselves that JSON does not have."""
