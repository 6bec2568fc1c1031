"""Policy for unusable images: an error, left out, or moved to quarantine.

Each is named with its reason in any case. At most --max_bad_fraction of all images are left out or moved: a tree with
half of its images damaged is a mistake, not a few bad images.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Literal, get_args

from geods import errors
from geods.storage import files
from geods.tree import companions, jpeg

Action = Literal["raise", "skip", "quarantine"]
ACTION_VARIABLE, FRACTION_VARIABLE = "GEODS_ON_BAD_IMAGE", "GEODS_MAX_BAD_FRACTION"


@dataclasses.dataclass(frozen=True)
class Policy:
    """Action on bad images and its limit.

    Attributes:
        on_bad_image: "raise" ends with an error that names them; "skip" leaves them out; "quarantine" moves them into
            the folder TREE.quarantine beside the tree, each with a file that holds the reason.
        max_bad_fraction: A larger share of all images is an error with any of the three.
    """

    on_bad_image: Action = "raise"
    max_bad_fraction: float = 0.01

    def __post_init__(self) -> None:
        if self.on_bad_image not in get_args(Action):
            problem = f"on_bad_image={self.on_bad_image!r}: is not {', '.join(get_args(Action))}."
            raise errors.OptionError(problem, "name one of the three")
        if not 0 <= self.max_bad_fraction <= 1:
            problem = f"max_bad_fraction={self.max_bad_fraction}: is not a share of the images."
            raise errors.OptionError(problem, "give 0 to 1, such as 0.01")

    @classmethod
    def from_environment(cls) -> "Policy":
        """Returns the policy of two environment variables.

        $GEODS_ON_BAD_IMAGE and $GEODS_MAX_BAD_FRACTION: tfds takes no flags of a builder.

        Raises:
            OptionError: If a value is not allowed.
        """
        action, share = os.environ.get(ACTION_VARIABLE, "raise"), os.environ.get(FRACTION_VARIABLE, "0.01")
        try:
            return cls(action, float(share))  # type: ignore[arg-type]
        except ValueError as error:
            problem = f"${ACTION_VARIABLE}={action}, ${FRACTION_VARIABLE}={share}: {str(error).partition(chr(10))[0]}"
            raise errors.OptionError(problem, f"set {ACTION_VARIABLE}=raise, skip or quarantine, and 0 to 1") from error


def settle(
    bad: list[jpeg.ImageFacts], count: int, tree: companions.TreeFolder, policy: Policy, next_step: str
) -> list[jpeg.ImageFacts]:
    """Applies the policy, and prints the images that were left out or moved.

    Args:
        bad: Checked images that cannot be used.
        count: Number of checked images.
        tree: The tree.
        policy: The policy.
        next_step: Next step of the error of "raise".

    Returns:
        The bad images, which the caller leaves out; none with "raise".

    Raises:
        ImageError: With "raise", or if too many are bad.
        OptionError: If images of a table are to be moved.
        TreeError: If they cannot be moved.
    """
    root = tree.root
    if policy.on_bad_image == "raise":
        jpeg.check_none_bad(bad, count, root, next_step)
    elif len(bad) > policy.max_bad_fraction * count:
        more = f"look at them, or allow as many: max_bad_fraction={len(bad) / count:.2g} or more"
        jpeg.check_none_bad(bad, count, root, more)
    if bad:
        aside = _quarantine(bad, tree) if policy.on_bad_image == "quarantine" else None
        done = f"moved to {aside}" if aside else "left out"
        print(f"  {len(bad):,} of {count:,} images cannot be used and are {done}:")
        print("\n".join(f"    {fact.name_below(root)}: {fact.problem}" for fact in bad))
    return bad


def _quarantine(bad: Sequence[jpeg.ImageFacts], tree: companions.TreeFolder) -> pathlib.Path:
    """Moves images out of the tree and returns their new folder."""
    if not tree.root.is_dir():
        problem = f"{tree.root}: is a table, whose rows would name images that are moved."
        raise errors.OptionError(problem, f"use skip, or delete the lines: {ACTION_VARIABLE}=skip")
    aside = tree.quarantine
    for fact in bad:
        target = _free(aside / fact.name_below(tree.root))
        try:
            # The reason first: a kill between leaves the image in the tree, where the next run finds it again.
            files.write_text(f"{target}.reason.txt", f"{fact.path}\n{fact.problem}\nsha256 {fact.sha256}\n")
            fact.path.rename(target)
        except OSError as error:
            problem = f"{fact.path}: cannot be moved to {target} ({error.strerror})."
            raise errors.TreeError(problem, "check permissions and space, or use skip") from error
    return aside


def _free(path: pathlib.Path) -> pathlib.Path:
    """Returns a path without a file, numbered if need be."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return free
