# syntax=docker/dockerfile:1
FROM python:3.11-slim AS quakecast

# Where PyTorch comes from: PyPI (the CUDA build, which runs on the CPU too), or the index of the small CPU build that this names.
ARG TORCH_INDEX=

WORKDIR /app
COPY pyproject.toml constraints.txt README.md ./
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(sed -n 's/^\(torch==[0-9.]*\).*/\1/p' constraints.txt)"
COPY ingest ingest
COPY stream stream
COPY models models
RUN pip install --no-cache-dir -c constraints.txt . \
    && useradd --create-home --uid 10001 quakecast \
    && mkdir /models && chown quakecast /models

USER quakecast
ENTRYPOINT ["quakecast"]
CMD ["--help"]
