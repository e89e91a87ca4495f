# syntax=docker/dockerfile:1
FROM python:3.11-slim AS quakecast

# PyTorch's package index for the small CPU build.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

WORKDIR /app
COPY pyproject.toml constraints.txt README.md ./
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" "$(sed -n 's/^\(torch==[0-9.]*\).*/\1/p' constraints.txt)"
COPY ingest ingest
COPY stream stream
COPY models models
RUN pip install --no-cache-dir -c constraints.txt . \
    && useradd --create-home --uid 10001 quakecast

USER quakecast
ENTRYPOINT ["quakecast"]
CMD ["--help"]
