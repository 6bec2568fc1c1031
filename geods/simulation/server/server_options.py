"""Flags of the simulated Street View server, without heavy imports."""

import dataclasses
from typing import Literal

from geods import errors
from geods.cli import flags
from geods.imagery.http import api_key, signing

# Made up for demos; it opens nothing.
DEMO_KEY = "simulated-street-view-demo-key"


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    """World, keys and quotas of the simulated server.

    Attributes:
        keys: API keys that are accepted, with or without a signature if they have a signing secret.
        signed_keys: "KEY:SECRET" each: keys whose requests must be signed with the secret (URL-safe base64).
        seed: Seed of the world, its coverage and its faults.
        difficulty: 0 to 1, as of worlds.World.
        density: How much of the land is covered, as of panoramas.Coverage.
        radius_leak: Share of the points for which the panorama is one of a user far away, whatever the radius.
        picture: "full" draws every view; "tiled" answers from a few drawings, distinguished by a comment in the JPEG.
        processes: How many draw, 0 for one on each core; 1 is the server's own.
        queries_per_minute: Requests of a key a minute, images and metadata apart; 0 for no limit.
        daily_unsigned_images: Image requests of a key a day without a signature; 0 for no limit.
    """

    keys: tuple[str, ...] = flags.option((DEMO_KEY,), "Made-up keys that are accepted; never give a real one.")
    signed_keys: tuple[str, ...] = flags.option((), "KEY:SECRET of made-up keys whose requests must be signed.")
    seed: int = flags.option(0, "Seed of the world, its coverage and its faults.")
    difficulty: float = flags.option(0.5, "0 to 1: how much a scene deviates from the one its coordinates determine.")
    density: float = flags.option(1.0, "Factor of the number of panoramas.")
    radius_leak: float = flags.option(0.0, "Share of points answered with a user's photograph far away.")
    picture: Literal["full", "tiled"] = flags.option("full", "Draw each view, or answer from a few drawings.")
    processes: int = flags.option(1, "Processes that draw; 0: one on each core.")
    queries_per_minute: int = flags.option(0, "Requests of a key a minute, images and metadata apart; 0: no limit.")
    daily_unsigned_images: int = flags.option(0, "Image requests of a key a day without signature; 0: no limit.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is out of range, or there is no key.
        """
        signers = self.signers()
        if not self.keys and not signers:
            raise errors.OptionError("--keys: holds no key.", f"the demo's is {DEMO_KEY}")
        for name in ("difficulty", "radius_leak"):
            if not 0 <= getattr(self, name) <= 1:
                raise errors.OptionError(f"--{name}={getattr(self, name)}: is not from 0 to 1.", "see --help")
        for name in ("density", "processes", "queries_per_minute", "daily_unsigned_images"):
            if not getattr(self, name) >= 0:
                raise errors.OptionError(f"--{name}={getattr(self, name)}: is below 0.", "see --help")

    def signers(self) -> dict[str, api_key.Secret]:
        """Returns the signing secrets of `signed_keys` by key.

        Raises:
            OptionError: If one is not KEY:SECRET, or its secret cannot be one.
        """
        found = {}
        for pair in self.signed_keys:
            key, colon, text = pair.rpartition(":")
            if not colon or not key:
                raise errors.OptionError(f"--signed_keys={api_key.redact(pair)}: is not KEY:SECRET.", "write it so")
            found[key] = api_key.Secret(text)
            signing.sign("", found[key])
        return found
