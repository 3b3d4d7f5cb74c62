"""The comparison: workloads against the hub, against bare floors and against a peer, in one run on one machine."""
