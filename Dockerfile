# syntax=docker/dockerfile:1
# Exact versions: raise them when the base images are repaired. A digest can be appended (see docker-compose.yml).
FROM node:22.22.3-slim AS page

WORKDIR /page
COPY stream/serve/page/package.json stream/serve/page/package-lock.json stream/serve/page/.npmrc ./
RUN npm ci
COPY stream/serve/page ./
RUN npm run build

FROM python:3.11.14-slim AS quakecast

# Where PyTorch comes from: PyPI (the CUDA build, which runs on the CPU too), or the index of the small CPU build that this names.
ARG TORCH_INDEX=

WORKDIR /app
COPY pyproject.toml constraints.txt README.md ./
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(sed -n 's/^\(torch==[0-9.]*\).*/\1/p' constraints.txt)"
COPY ingest ingest
COPY stream stream
COPY models models
COPY --from=page /page/dist stream/serve/page/dist
RUN pip install --no-cache-dir -c constraints.txt . \
    && useradd --create-home --uid 10001 quakecast \
    && mkdir /models && chown quakecast /models

# The file system may be read-only: caches go where every container may write.
ENV NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/matplotlib

USER quakecast
ENTRYPOINT ["quakecast"]
CMD ["--help"]
