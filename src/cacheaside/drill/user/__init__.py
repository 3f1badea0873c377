"""A drill of a service that is not its own: what its user brings, and what the drill may touch.

`hooks`: how the service is asked, and how its source is read; `ground`: both together as something a drill can be done
to; `consent`: the target in the user's own words; `run`: the drill.
"""
