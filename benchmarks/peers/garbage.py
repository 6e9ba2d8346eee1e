"""Gives every Python peer the garbage-collection settings that the product uses."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

# A full collection over the modules' own objects frees nothing and stops every request that waits.
THRESHOLDS = (50_000, 50, 1000)


def tune() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


@asynccontextmanager
async def tuned_lifespan(_: FastAPI) -> AsyncIterator[None]:
    tune()
    yield
