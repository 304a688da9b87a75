{{/* Values that contradict each other, or that nothing could run with. What one value may be is values.schema.json's. */}}
{{- define "supabase-deploy-agent.check" -}}
{{- $values := .Values -}}
{{- $keys := $values.secrets.keys -}}
{{- $target := dig "backup" "target" "" $values.config -}}
{{- $bucket := regexMatch "^(s3|gs|az|supabase)://" $target -}}
{{- if not $values.image.repository -}}
{{- fail "image.repository is empty: set it to where your image of the agent is, such as registry.example.com/supabase-deploy-agent" -}}
{{- end -}}
{{- if and (eq $values.image.tag "latest") (not $values.image.digest) -}}
{{- fail "image.tag is latest: name a version, or nobody can say which agent has deployed" -}}
{{- end -}}
{{- if not $values.secrets.existingSecret -}}
{{- fail (printf "secrets.existingSecret is empty: make a Secret with the keys %s, and name it there" (keys $keys | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $urlless := or (dig "platform" "login_role" false $values.config) (eq (dig "deploy" "via" "database" $values.config) "api") -}}
{{- if and (not (get $keys "database_url")) (or (not $urlless) (eq $values.mode "include")) -}}
{{- fail "secrets.keys.database_url is empty: name the key of the Secret that holds the database's URL" -}}
{{- end -}}
{{- $memory := or (ne $values.mode "include") $values.sidecar.enabled -}}
{{- if and $memory (ne $values.mode "job") (not (get $keys "http.token")) (not (dig "http" "tokens" list $values.config)) -}}
{{- fail "secrets.keys.http.token is empty, and so is config.http.tokens: the agent listens to other pods only with a token; `openssl rand -hex 32` makes one" -}}
{{- end -}}
{{- if and $memory (not $values.persistence.enabled) (not (get $keys "store_url")) -}}
{{- fail "persistence.enabled is false and secrets.keys.store_url is empty: the agent would forget a deploy that its pod was killed in. Keep the volume, or put its memory on Postgres" -}}
{{- end -}}
{{- if and $memory (not $values.persistence.enabled) (not $bucket) -}}
{{- fail "persistence.enabled is false and config.backup.target is no bucket: backups would be lost with the pod. Keep the volume, or set config.backup.target to s3://…, gs://…, az://… or supabase://…" -}}
{{- end -}}
{{- if and (eq $values.mode "include") $values.sidecar.enabled (or (not $values.persistence.enabled) (get $keys "store_url")) -}}
{{- fail "sidecar.enabled is true: a sidecar's memory is on a volume (persistence.enabled, no secrets.keys.store_url); the chart does not provide for sidecars that share one on Postgres" -}}
{{- end -}}
{{- if and (eq $values.mode "job") $values.persistence.enabled (not $values.persistence.existingClaim) -}}
{{- fail "mode is job and persistence.existingClaim is empty: a hook's own claim would be deleted with it. Name a claim that exists, or set persistence.enabled to false, secrets.keys.store_url, and config.backup.target to a bucket" -}}
{{- end -}}
{{- if and $target (not $bucket) -}}
{{- $folder := trimPrefix "file://" $target -}}
{{- $known := hasPrefix "/var/lib/deploy-agent" $folder -}}
{{- range $values.extraVolumeMounts -}}
{{- if hasPrefix .mountPath $folder -}}{{- $known = true -}}{{- end -}}
{{- end -}}
{{- if not $known -}}
{{- fail (printf "config.backup.target %s is on no volume, so backups would be lost with the pod: use a folder in /var/lib/deploy-agent or in one of extraVolumeMounts, or a bucket" $target) -}}
{{- end -}}
{{- end -}}
{{- with $values.migrations -}}
{{- if and (eq .source "image") .path (not (isAbs .path)) -}}
{{- fail (printf "migrations.path %s is not absolute: with migrations.source image it is a folder in the image, such as /project/supabase/migrations" .path) -}}
{{- end -}}
{{- if and (eq .source "image") .image.reference .path (not (hasPrefix "/project/supabase/" .path)) -}}
{{- fail (printf "migrations.path %s is not in /project/supabase, where migrations.image.directory is copied to" .path) -}}
{{- end -}}
{{- if and (eq .source "git") (not .git.repository) -}}
{{- fail "migrations.source is git and migrations.git.repository is empty" -}}
{{- end -}}
{{- if and (eq .source "configMap") (not .configMap.name) -}}
{{- fail "migrations.source is configMap and migrations.configMap.name is empty" -}}
{{- end -}}
{{- if eq .source "oci" -}}
{{- if not .oci.reference -}}
{{- fail "migrations.source is oci and migrations.oci.reference is empty" -}}
{{- end -}}
{{- if semverCompare "<1.31.0-0" $.Capabilities.KubeVersion.Version -}}
{{- fail (printf "migrations.source oci needs Kubernetes 1.31 with the feature gate ImageVolume, and this is %s: use image, with migrations.image.reference" $.Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.runbook.inline $values.runbook.configMap.name -}}
{{- fail "runbook.inline and runbook.configMap.name are both set: keep one of the two" -}}
{{- end -}}
{{- if and $values.serviceMonitor.enabled (not $values.serviceMonitor.tokenKey) (not (get $keys "http.token")) -}}
{{- fail "serviceMonitor.enabled is true: set serviceMonitor.tokenKey to the key of the Secret that holds Prometheus' token" -}}
{{- end -}}
{{- if and $values.ingress.enabled (or (not $values.ingress.host) (not $values.ingress.tlsSecret)) -}}
{{- fail "ingress.enabled is true: set ingress.host and ingress.tlsSecret; tokens are not sent without TLS" -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (or (not $values.httpRoute.parentRefs) (not $values.httpRoute.hostnames)) -}}
{{- fail "httpRoute.enabled is true: set httpRoute.parentRefs and httpRoute.hostnames" -}}
{{- end -}}
{{- end -}}
