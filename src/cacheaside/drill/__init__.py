"""Break a cache on purpose, under load, and judge what comes of it: `cacheaside drill NAME`.

`drills`: which there are, and `settings`: how they are made. `faults/`: what is broken, and what undoes it; `journal`:
what is still to be put right when a drill is killed. `running`: a drill from its first look to its report; `aborting`:
when it is called off. `series` and `judging`: from what was heard to findings; `report`: the data, and `reporting/` for
people. `capacity`: a source that can be overloaded, which `rig/` (servers of the drill's own) and `virtual/` (the same
in virtual time) share. `metastable`: with admission and without, side by side. `own` and `command` put it together.
"""
