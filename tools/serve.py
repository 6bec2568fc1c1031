"""Serves a run over HTTP: predictions of photographs, and a page with a map.

    python -m tools.serve --run_dir=runs/mlp
    curl -H 'Content-Type: image/jpeg' --data-binary @photograph.jpg http://127.0.0.1:8000/predict

The answer is the line that tools.predict prints. `-F image=@a.jpg -F image=@b.jpg` sends the views of one location.
GET / is a page to drop photographs on, /model describes the run, /map shows its map, /health answers "ok". Requests
that come within 5 ms are predicted together. Photographs are never written to disk. Runs until Ctrl-C or SIGTERM, then
answers the requests it has accepted. Only this machine can reach it unless --host is given.
"""

import dataclasses

from geods.cli import flags, program
from trainers.options import stages
from trainers.serving import server_options


@dataclasses.dataclass(frozen=True)
class Options(server_options.ServerOptions):
    """Run to serve, and how much at once."""

    run_dir: str = flags.option("", "Run folder that trainers.train wrote.", path="in")
    checkpoint: str = flags.option("", stages.CHECKPOINT_HELP)
    batch_size: int = flags.option(32, "Images the network takes at once, at most.")
    queue: int = flags.option(64, "Requests that may wait; more are answered with 503.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is missing or out of range.
        """
        super().__post_init__()
        flags.check_given(self, run_dir="name a run folder: --run_dir=RUN")
        flags.check_at_least(self, 1, ("batch_size", "queue"))


def main(options: Options) -> None:
    """Serves until it is interrupted."""
    from trainers.runs import run_folder

    run = run_folder.check_run(options.run_dir, options.checkpoint)
    from trainers.serving import web

    # Before the run is opened, which takes seconds.
    server = web.Server(options)
    from trainers.evaluation import run_predictor

    model = run_predictor.open_run(run, options.checkpoint)
    from trainers.serving import locate

    service = locate.Service(model, options.batch_size, options.queue)
    routes = locate.routes(service)
    print(f"{run} at {server.url}; stop it with Ctrl-C", flush=True)
    server.run(routes)
    service.batcher.close()


if __name__ == "__main__":
    program.run(Options, main)
