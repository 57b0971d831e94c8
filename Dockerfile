# The image of the pipeline (target `runtime`), and one with JupyterLab (target `notebooks`).
# Python has the version that the tests use. Every package is a wheel from the lock, verified by hash: nothing is compiled.
FROM python:3.11.13-slim-bookworm AS python

FROM python AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY pyproject.toml requirements.lock ./
COPY deploy/locked.py deploy/
RUN python -m venv --without-pip /opt/venv \
    && python deploy/locked.py > runtime.lock \
    && python -m pip --python /opt/venv install --require-hashes --no-deps --only-binary :all: -r runtime.lock \
    && python deploy/locked.py --only setuptools > build.lock \
    && python -m pip install --require-hashes --no-deps --only-binary :all: -r build.lock
COPY LICENSE README.md ./
COPY animeverse animeverse
COPY flows flows
COPY pipelines pipelines
COPY producers producers
COPY warehouse warehouse
RUN python -m pip wheel --no-deps --no-build-isolation --no-index -w wheels . \
    && python -m pip --python /opt/venv install --no-deps --no-index wheels/*.whl

FROM build AS build-notebooks
RUN python deploy/locked.py --extra notebooks > notebooks.lock \
    && python -m pip --python /opt/venv install --require-hashes --no-deps --only-binary :all: -r notebooks.lock

# Python only: no pip, no compiler, no root user at run time.
FROM python AS bare
RUN python -m pip uninstall --yes --root-user-action ignore setuptools wheel pip \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin animeverse \
    && install -d -o animeverse -g animeverse /data
COPY deploy/with-secrets /usr/local/bin/with-secrets
COPY deploy/animeverse /opt/animeverse/bin/animeverse
COPY deploy/health.py deploy/bucket.py /opt/animeverse/
WORKDIR /app
ENV PATH=/opt/animeverse/bin:/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ANIMEVERSE_HOME=/data \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1
USER 10001:10001
ENTRYPOINT ["with-secrets"]

FROM bare AS notebooks
COPY --from=build-notebooks /opt/venv /opt/venv
COPY --chown=10001:10001 README.md notebook[s] /home/animeverse/notebooks/
CMD ["jupyter", "lab", "--no-browser"]

# Flows and their deployments are in /app, where `prefect deploy` and the worker look for them.
FROM bare AS runtime
COPY --from=build /opt/venv /opt/venv
COPY pyproject.toml prefect.yam[l] ./
COPY flows flows
CMD ["animeverse", "--help"]
