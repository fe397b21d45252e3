# The server, on a CPU. Build: docker build -t fantascope .   Run: docker compose up
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir --prefix=/install -c constraints.txt '.[serve,control]'

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 studio && mkdir /data && chown studio /data
COPY --from=build /install /usr/local
USER studio
ENV FANTASCOPE_HOME=/data HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/readyz', timeout=4)"]
# Inside a container 0.0.0.0 is the network that Docker gives it: publish the port where it is meant to be reached.
ENTRYPOINT ["fantascope"]
CMD ["serve", "--host", "0.0.0.0"]
