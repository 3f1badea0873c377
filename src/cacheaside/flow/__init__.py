"""The protocol, once: `async def` over ports. A flow awaits ports and other flows only.

asyncio awaits a flow; threads run it with ports that never suspend; the simulator steps it under a seeded schedule.
"""
