"""Applies the product's garbage collection settings to the Python peers."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

# A full collection of the modules' objects frees nothing and delays all requests.
THRESHOLDS = (50_000, 50, 1000)


def tune() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


@asynccontextmanager
async def tuned_lifespan(_: FastAPI) -> AsyncIterator[None]:
    tune()
    yield
