"""What people write first: FastAPI around a pipeline of transformers, one text a call. A peer of benchmarks/server.py.

python benchmarks/pipeline_server.py MODEL PORT THREADS
"""

import sys

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline
from transformers.utils import logging

logging.set_verbosity_error()
folder, port, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
classify = pipeline("text-classification", model=folder, device="cpu")
app = FastAPI()


class Request(BaseModel):
    """One text."""

    text: str


@app.get("/health/ready")
def ready() -> dict[str, str]:
    return {"status": "ready"}


@app.post("/v1/decide")
def decide(request: Request) -> dict[str, object]:
    return classify(request.text, truncation=True)[0]


uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)
