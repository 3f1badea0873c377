"""What a drill does on purpose, each with what undoes it.

`kind`: what every fault can do. `scope`: which server, which keys, and nothing else. `keys`: faults in the namespace.
`server`: faults of the server. `around`: of the network, the service and the source. `made`: the fault of a drill.
"""
