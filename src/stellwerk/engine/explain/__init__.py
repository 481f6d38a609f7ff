"""Why is it waiting, over all layers: the queue, the nodes, the devices."""
