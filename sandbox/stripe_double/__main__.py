"""``python -m sandbox.stripe_double``: the double as a program of its own."""

import argparse
import asyncio
import logging
import signal

from sandbox.stripe_double.server import API_KEY, PUBLISHABLE_KEY, WEBHOOK_SECRET, StripeDouble


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.stripe_double", description="A stateful double of Stripe")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--data", help="the file everything is kept in; in memory when absent")
    parser.add_argument("--api-key", default=API_KEY)
    parser.add_argument("--publishable-key", default=PUBLISHABLE_KEY)
    parser.add_argument("--webhook-url", help="where every event is sent")
    parser.add_argument("--webhook-secret", default=WEBHOOK_SECRET)
    parser.add_argument("--public-url", help="where customers reach the hosted pages, when not at host:port")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with StripeDouble.serve(**vars(arguments)) as double:
        print(f"stripe double listening on {double.url}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(_run(_arguments()))
