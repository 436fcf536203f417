# ser on a CPU. Build: docker build -t ser .   Run: docker run --rm -v "$PWD/work:/work" ser --help
# Only /work and /tmp are written to: docker run --rm --read-only --tmpfs /tmp -v "$PWD/work:/work" ser ...
FROM python:3.12-slim AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/ser
WORKDIR /src
# torch comes first, in a layer of its own: its CPU build has its own index, and changes of ser don't install it again.
RUN /opt/ser/bin/pip install "torch>=2.6,<2.14" --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml README.md LICENSE ./
COPY sercli ./sercli
COPY data ./data
# For workers of a cluster (docs/scale.md): '.[cluster]'.
RUN /opt/ser/bin/pip install .

FROM python:3.12-slim

# The soundfile wheel brings libsndfile; no system package is needed.
RUN useradd --create-home --uid 1000 ser && install -d -o ser -g ser /work
COPY --from=build /opt/ser /opt/ser
ENV PATH=/opt/ser/bin:$PATH MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/tmp/numba HF_HOME=/work/.huggingface \
    PYTHONDONTWRITEBYTECODE=1
USER 1000
# /corpora: corpora, read-only. /work: prepared datasets and runs.
VOLUME ["/corpora", "/work"]
WORKDIR /work
ENTRYPOINT ["ser"]
CMD ["--help"]
