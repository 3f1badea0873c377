"""How it is found out which servers there are: a fixed address, Sentinels, or the nodes of a cluster.

`find` runs on a background thread of this library. It keeps to its time, but for the system's resolver where a server
is given by name. One thread at a time asks a topology.
"""

from cacheaside.stores.redis.connect.topology.cluster import ClusterTopology
from cacheaside.stores.redis.connect.topology.sentinel import SentinelTopology
from cacheaside.stores.redis.connect.topology.single import Single

__all__ = ["ClusterTopology", "SentinelTopology", "Single"]
