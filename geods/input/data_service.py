"""The tf.data service: processes on any machine read and decode for a training.

    dispatcher <- workers, each of which reads the dataset itself   <- training, which asks all workers for batches

Shards go to workers one by one as they ask for more, so an epoch has every location exactly once. For that epoch, a
worker that dies loses what it had read and nobody had fetched, and the rest of its shards; nothing comes twice, the
others continue, and once it is started again the next epoch is whole.
"""

import socket
from typing import Literal

import tensorflow as tf

from geods import errors

Role = Literal["dispatcher", "worker"]
READ_AT_ONCE = 2
_CONNECT_S = 10


def check_reachable(address: str) -> None:
    """Refuses a dispatcher that does not answer.

    Args:
        address: host:port.

    Raises:
        OptionError: If it is not an address, or nothing listens there; TensorFlow itself would try for an hour.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdecimal()):
        raise errors.OptionError(f"{address}: is not host:port.", "give it as 10.0.0.2:5050")
    try:
        socket.create_connection((host, int(port)), _CONNECT_S).close()
    except OSError as error:
        problem = f"{address}: no tf.data service answers there ({error})."
        raise errors.OptionError(problem, f"start one: python -m tools.data_service --port={port}") from error


def distributed(rows: tf.data.Dataset, address: str) -> tf.data.Dataset:
    """Lets the workers of a service compute a dataset, shard by shard.

    Elements come in the order in which they are ready.

    Raises:
        OptionError: If nothing answers at the address.
    """
    check_reachable(address)
    return rows.apply(
        tf.data.experimental.service.distribute(
            processing_mode=tf.data.experimental.service.ShardingPolicy.DYNAMIC, service=f"grpc://{address}"
        )
    )


def start(
    role: Role, port: int, host: str, dispatcher: str, work_dir: str
) -> "tf.data.experimental.service.DispatchServer | tf.data.experimental.service.WorkerServer":
    """Starts a dispatcher, or a worker that reports to one.

    Args:
        role: Which of the two.
        port: Port to listen on.
        host: Name under which others reach a worker.
        dispatcher: host:port of the dispatcher a worker reports to.
        work_dir: Folder of a dispatcher's journal, from which it goes on when it is started again; "" for none.

    Raises:
        OptionError: If the port is taken, or no dispatcher answers.
    """
    service = tf.data.experimental.service
    _check_port_free(port)
    if role == "dispatcher":
        config = service.DispatcherConfig(port=port, work_dir=work_dir or None, fault_tolerant_mode=bool(work_dir))
        return service.DispatchServer(config)
    check_reachable(dispatcher)
    return service.WorkerServer(
        service.WorkerConfig(dispatcher_address=dispatcher, worker_address=f"{host}:{port}", port=port)
    )


def _check_port_free(port: int) -> None:
    """Raises for a port that is in use.

    TensorFlow would share it, and each process would get half of the calls.
    """
    with socket.socket() as holder:
        # One whose last user has just died is free.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind(("", port))
        except OSError as error:
            raise errors.OptionError(f"--port={port}: is taken ({error.strerror}).", "choose a free port") from error
