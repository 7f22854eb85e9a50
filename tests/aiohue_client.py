"""What aiohue sees of a hub: run by tests/aiohue.rs with the hub's address and an application key.

Prints JSON: the names of lights, rooms and scenes, and the events of one light that it switches on itself.
"""

import asyncio
import json
import sys

from aiohue import HueBridgeV2


async def main(host: str, key: str) -> None:
    seen: list[dict] = []
    changed = asyncio.Event()
    async with HueBridgeV2(host, key) as bridge:

        def on_event(kind, light) -> None:
            seen.append({"kind": kind.value, "light": light.metadata.name, "on": light.on.on})
            if light.on.on and light.color.xy.x > 0.6:
                changed.set()

        bridge.lights.subscribe(on_event)
        desk = next(light for light in bridge.lights if light.metadata.name == "Desk")
        # The stream is connected beside what was read; until it stands, nothing is told.
        for _ in range(20):
            await bridge.lights.set_state(desk.id, on=True, brightness=60.0, color_xy=(0.65, 0.3))
            try:
                await asyncio.wait_for(changed.wait(), 1)
                break
            except TimeoutError:
                await bridge.lights.set_state(desk.id, on=False)
        group = next(iter(bridge.groups.grouped_light))
        print(
            json.dumps(
                {
                    "bridge": bridge.bridge_id,
                    "lights": sorted(light.metadata.name for light in bridge.lights),
                    "rooms": sorted(room.metadata.name for room in bridge.groups.room),
                    "zones": sorted(zone.metadata.name for zone in bridge.groups.zone),
                    "scenes": sorted(scene.metadata.name for scene in bridge.scenes),
                    "desk": {
                        "color": desk.supports_color,
                        "white": desk.supports_color_temperature,
                        "on": bridge.lights[desk.id].on.on,
                    },
                    "group": group.type.value,
                    "told": any(event["light"] == "Desk" and event["on"] for event in seen),
                }
            )
        )


# Below the test's own patience, so that nothing is left behind.
asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 100))
