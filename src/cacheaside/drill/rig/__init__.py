"""A drill's own servers: a database of a known capacity, a service of several processes, and who asks it.

Its parts are the demo's: the rows, the views, the pipes between processes, the embedded server. What is its own: the
source is one process that all services share, with a capacity (`capacity.Sharing`), so that it can be overloaded; and
the load is open (requests come when they come, whether or not the last one was answered) and impatient: it stops
waiting, and asks again.

`source`, `service`, `load`: a process each. `wire`: how they speak. `promised`: may this answer miss that change?
`ground`: all of it together, as something a drill can be done to.
"""
