# nginx with the module that clears headers by pattern, which the official image does not have: deploy/gateways/nginx.
FROM debian:bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends nginx-light libnginx-mod-http-headers-more-filter >/dev/null \
 && rm -rf /var/lib/apt/lists/*
EXPOSE 8080
ENTRYPOINT ["nginx", "-e", "/dev/stderr", "-g", "daemon off; error_log /dev/stderr warn;"]
