"""Who turns the crank: asyncio, threads; the simulator is the third, in `testing`."""
