"""Runs MiniStack so that it cannot outlive whoever started it.

The starter holds the other end of our standard input. When that end closes, for whatever reason,
the whole process group goes: MiniStack and every function it started.
"""

import os
import signal
import sys
import threading


def die_with_the_starter():
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def tee_function_logs(folder):
    """MiniStack keeps what functions print in memory, per invocation. People want a file, at once."""
    from ministack.core.lambda_runtime import ProvidedWorker

    pump = ProvidedWorker._pump_output

    class Tee:
        def __init__(self, stream, path):
            self.stream, self.path = stream, path

        def readline(self):
            line = self.stream.readline()
            with open(self.path, "ab") as file:
                file.write(line)
            return line

        def close(self):
            self.stream.close()

    def pump_and_tee(worker, stream, queue):
        pump(worker, Tee(stream, os.path.join(folder, worker.func_name + ".log")), queue)

    ProvidedWorker._pump_output = pump_and_tee


def read_concurrency_as_a_number():
    """A parameter of a stack arrives as text. AWS reads it as the number it is; MiniStack compares
    the text with a number, and no event source is polled any more."""
    from ministack.services import lambda_svc

    concurrency = lambda_svc._sqs_esm_concurrency

    def numeric(esm, *rest):
        scaling = esm.get("ScalingConfig") or {}
        if isinstance(scaling.get("MaximumConcurrency"), str):
            scaling["MaximumConcurrency"] = int(scaling["MaximumConcurrency"])
        return concurrency(esm, *rest)

    lambda_svc._sqs_esm_concurrency = numeric


def grant_batches_with_the_action():
    """Whoever may do something to one message may do it to a batch
    (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html).
    MiniStack wants a permission for the batch, which AWS does not know."""
    from ministack.core import iam_actions

    extract = iam_actions.extract_iam_action

    def of_one_message(*request, **more):
        action = extract(*request, **more)
        return action.removesuffix("Batch") if (action or "").startswith("sqs:") else action

    iam_actions.extract_iam_action = of_one_message


def check_signatures_by_hand():
    """MiniStack checks a JWT's signature with a library that it does not bring, and without it refuses
    every token. RS256 (RFC 7518 section 3.3) needs one power."""
    import base64
    import hashlib

    from ministack.services import apigateway

    def number(text):
        return int.from_bytes(base64.urlsafe_b64decode(text + "=="), "big")

    def verified(token, key):
        signed, _, signature = token.rpartition(".")
        modulus = number(key["n"])
        size = (modulus.bit_length() + 7) // 8
        digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(signed.encode()).digest()
        padded = b"\0\1" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest
        return pow(number(signature), number(key["e"]), modulus) == int.from_bytes(padded, "big")

    apigateway._verify_rs256_signature = verified


def save_and_end(*_):
    """Writes down all that MiniStack holds, which it reads again when it starts, and ends.

    MiniStack does so itself only if it is asked in the quiet. Here nothing is answered any more once this
    has begun, for it runs in the place of the event loop: whoever got an answer finds what it said.
    """
    from ministack import app

    for state, held in app._build_persistence_save_dict().items():
        for attempt in range(100):
            try:
                app.save_all({state: copied(held)})
                break
            except RuntimeError:  # a thread changed it meanwhile
                continue
    for worker in list(children()):
        os.kill(worker, signal.SIGKILL)
    os._exit(0)


def copied(held):
    state = held()
    return lambda: state


def children():
    from ministack.core import lambda_runtime

    for workers in list(lambda_runtime._workers.values()):
        for worker in workers:
            process = getattr(worker, "_proc", None)
            if process is not None and process.poll() is None:
                yield process.pid


os.setpgid(0, 0)
signal.signal(signal.SIGUSR1, save_and_end)
threading.Thread(target=die_with_the_starter, daemon=True).start()
grant_batches_with_the_action()
tee_function_logs(sys.argv.pop(1))
read_concurrency_as_a_number()
check_signatures_by_hand()

from ministack.app import main  # noqa: E402 (the thread above must already watch)

main()
