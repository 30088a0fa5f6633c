# The operator. It needs git, ssh and a folder for its data; hosts need nothing but their Engine's API.
FROM python:3.11-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY schemas schemas
COPY example-repo example-repo
RUN pip wheel --no-cache-dir --wheel-dir /wheels '.[exact]'

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git openssh-client tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home rota \
    && install -d -o rota /var/lib/rota
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels 'rota[exact]' && rm -rf /wheels
USER rota
VOLUME /var/lib/rota
EXPOSE 8080
ENV ROTA_LISTEN=0.0.0.0:8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["tini", "--", "rota"]
CMD ["operator"]
