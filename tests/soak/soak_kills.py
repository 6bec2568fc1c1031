"""Soak of building, extracting, training and evaluating under kill -9.

`make soak` runs it at full size.

    python tests/soak/soak_kills.py --part=build,extract,train,evaluate,resume,together --kills=250 --processes=8

The first four kill the program so often each, at random moments and around its writes, and start it again as it was:
what is there after each kill is whole, what was finished is not done again, and what is there in the end is what an
undisturbed run gives, with nothing beside it. `resume` kills trainings of every kind after each epoch, and so many more
at random steps: their weights are those of an undisturbed one, to the last bit. `together` starts 2 to 8 of each of the
four on one folder: one works, the others say who does.
"""

import argparse
import json
import pathlib
import random
import re
import shutil
import tempfile
import time
from collections.abc import Callable

import _support_path  # noqa: F401 - before the modules it makes known
import kill_works
import killing

from geods.storage import seals
from trainers.runs import run_folder

OF_VIEWS = {"view_dropout": 0.3, "view_mixup": 0.3}
IMAGES = {"cache_dir": "", "train_backbone": True, "brightness": 0.1, "contrast": 0.1, "crop": 0.2}
# Every way to train that keeps something from one step to the next.
TRAININGS: dict[str, dict] = {
    "dropout and augmented features": {**kill_works.CHANGES, **OF_VIEWS},
    "lstm, mixed_float16": kill_works.ALBUM,
    "attention, mixed_bfloat16": {
        "fusion": "attention",
        "precision": "mixed_bfloat16",
        "weight_decay": 0.0,
        **OF_VIEWS,
    },
    "changed copies, single views": {"variants": 2, "train_views": "single", **kill_works.CHANGES},
    "two members, constant rate": {"members": 2, "lr_schedule": "constant", **kill_works.CHANGES},
    "early stop": {"patience": 1, "learning_rate": 0.3, **kill_works.CHANGES},
    "chunks": {"schedule": "chunked", "chunk_examples": 15, "epochs": 2, **kill_works.CHANGES},
    "images, augmented, mixed_bfloat16": {"precision": "mixed_bfloat16", **IMAGES, **kill_works.CHANGES},
    "images, single views": {"train_views": "single", **IMAGES},
    "two devices": {"devices": 2, **kill_works.CHANGES},
    "two devices, images": {"devices": 2, **IMAGES},
}


def kills(part: str, made: kill_works.Road, sizes: argparse.Namespace) -> dict:
    """Kills one program so often."""
    work, rng = made.work(part), random.Random(part)
    target, whole = made.folder / part, made.folder / f"{part} undisturbed"
    work.prepare(target)
    whole_s = killing.run(lambda: work.do(target), made.log)
    target.rename(whole)
    wanted, killed, lives = work.hashes(whole), 0, 0
    while killed < sizes.kills:
        work.prepare(target)
        # Now and then it is left in peace before the kills are used up.
        for left in range(rng.randint(1, 6), -1, -1):
            before, lives = work.finished(target), lives + 1
            child = killing.Child(lambda: work.do(target), made.log)
            died = left > 0 and killing.kill_somewhere(child, target, whole_s, rng)
            assert died or child.wait() == 0, made.log.read_text(encoding="utf-8")
            killed += died
            _judge(target, wanted, work, before)
            if not died or work.is_over(target):
                break
        _swept(made, work, target)
        kill_works.judge_end(target, whole, work)
        shutil.rmtree(target)
    seen = {"kills": killed, "lives": lives, "torn": 0, "done again": 0, "left over": 0}
    return seen | {"undisturbed_s": round(whole_s, 1)}


def _swept(made: kill_works.Road, work: kill_works.Work, target: pathlib.Path) -> None:
    """Starts again a program that was killed at its end; it removes leftovers."""
    if work.is_over(target):
        child = killing.Child(lambda: work.do(target), made.log)
        assert child.wait() == 1
        assert "holds a trained model already" in made.log.read_text(encoding="utf-8")


def _judge(target: pathlib.Path, wanted: dict[str, str], work: kill_works.Work, before: set[str]) -> None:
    """Fails on torn files, and if finished work is missing or was repeated."""
    torn = {name: digest for name, digest in work.hashes(target).items() if wanted[name] != digest}
    assert not torn, torn
    lost = before - work.finished(target)
    assert work.is_over(target) or not lost, lost
    if (target / seals.NAME).is_file():
        assert not seals.verify(target)


def resume(_: str, made: kill_works.Road, sizes: argparse.Namespace) -> dict:
    """Interrupts trainings of every kind after each epoch, and at random steps."""
    rng, seen, killed = random.Random(0), {}, 0
    kinds = {kind: changes for kind, changes in TRAININGS.items() if sizes.trainings in kind}
    for kind, changes in kinds.items():
        made.need("data", "cache with copies" if "variants" in changes else "cache")
        target, whole = made.folder / "resumed", made.folder / "resumed undisturbed"
        if "variants" in changes:
            changes = {"cache_dir": str(made.copies), **changes}
        whole_s = killing.run(lambda: made.train(target, **changes), made.log)  # noqa: B023
        target.rename(whole)
        wanted = kill_works.of_run(whole)
        for step in range(-1, -(-sizes.steps // len(kinds))):
            killed += _interrupted(made, changes, target, whole_s * rng.random() if step >= 0 else None)
            assert kill_works.of_run(target) == wanted, (kind, step)
            shutil.rmtree(target)
        shutil.rmtree(whole)
        seen[kind] = wanted[run_folder.MODEL][:12]
    return {"trainings": len(seen), "kills": killed, "with other weights": 0, "weights": seen}


def _interrupted(made: kill_works.Road, changes: dict, target: pathlib.Path, after_s: float | None) -> int:
    """Trains and kills: after some seconds, or after every epoch; returns how often."""
    killed = 0
    while not kill_works.is_over(target):
        child, before = killing.Child(lambda: made.train(target, **changes), made.log), kill_works.epochs(target)
        if after_s is not None and not killed:
            child.wait(after_s)
        else:
            child.wait(until=lambda: after_s is None and kill_works.epochs(target) != before)  # noqa: B023
        if child.poll() is not None:
            assert child.poll() == 0, made.log.read_text(encoding="utf-8")
            return killed
        child.kill()
        killed += 1
    return killed


def together(_: str, made: kill_works.Road, sizes: argparse.Namespace) -> dict:
    """Starts several of each program on one folder at the same time."""
    seen: dict[str, dict] = {}
    for part in ("build", "extract", "train", "evaluate"):
        work, target, whole = made.work(part), made.folder / "together", made.folder / "alone"
        work.prepare(target)
        killing.run(lambda: work.do(target), made.log)  # noqa: B023
        target.rename(whole)
        for count in range(2, sizes.processes + 1):
            work.prepare(target)
            told = _started_at_once(work, target, count)
            kill_works.judge_end(target, whole, work)
            shutil.rmtree(target)
            seen.setdefault(part, {})[count] = told
        shutil.rmtree(whole)
    return {"refusals that name the process, its host and its time": seen}


def _started_at_once(work: kill_works.Work, target: pathlib.Path, count: int) -> int:
    """Starts processes on one folder; returns how many worked.

    One must work, and the others name it.

    A build takes a tenth of a second, so one that starts late may also find it finished: it counts no locations, and
    while it looks others are told of it.
    """
    start = time.monotonic() + 0.05 * count

    def work_then() -> None:
        time.sleep(max(0.0, start - time.monotonic()))
        work.do(target)

    children = [killing.Child(work_then, target.with_name(f"log {number}.txt")) for number in range(count)]
    well, worked, told = set(), [], []
    for child in children:
        code, said = child.wait(), child.log.read_text(encoding="utf-8")
        child.log.unlink()
        if code == 0:
            well.add(child.pid)
            worked += [child.pid] * (" locations" in said)
        else:
            told.append(re.search(r"process (\d+) on \S+ since \d{4}-\d\d-\d\d [\d:]{8} UTC is writing there", said))
            assert told[-1], said
    assert len(worked) == 1, worked
    assert {int(match[1]) for match in told} <= well
    return len(told)


PARTS: dict[str, Callable[[str, kill_works.Road, argparse.Namespace], dict]] = {
    **dict.fromkeys(("build", "extract", "train", "evaluate"), kills),
    "resume": resume,
    "together": together,
}


def main() -> None:
    """Runs the parts named at the sizes given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default=",".join(PARTS))
    parser.add_argument("--kills", type=int, default=250, help="of each of the first four parts")
    parser.add_argument("--steps", type=int, default=20, help="random interruptions of trainings, in all")
    parser.add_argument("--processes", type=int, default=8, help="at the same time, at most")
    parser.add_argument("--trainings", default="", help="part of the names of the trainings that resume interrupts")
    sizes = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        made = kill_works.Road(pathlib.Path(scratch))
        for part in sizes.part.split(","):
            began = time.monotonic()
            seen = PARTS[part](part, made, sizes)
            print(f"{part}: {json.dumps(seen)} in {time.monotonic() - began:,.0f} s", flush=True)


if __name__ == "__main__":
    main()
