{{/* Where the migrations are in the agent's container. */}}
{{- define "supabase-deploy-agent.migrationsPath" -}}
{{- $values := .Values.migrations -}}
{{- if eq $values.source "git" -}}
{{- printf "/git/current/%s" (default "supabase/migrations" $values.path | trimPrefix "/") -}}
{{- else if eq $values.source "oci" -}}
{{- printf "/project/supabase/%s" (default "migrations" $values.path | trimPrefix "/") -}}
{{- else if eq $values.source "configMap" -}}
/project/supabase/migrations
{{- else -}}
{{- default "/project/supabase/migrations" $values.path -}}
{{- end -}}
{{- end -}}

{{- define "supabase-deploy-agent.runbookMap" -}}
{{- if .Values.runbook.inline -}}
{{- include "supabase-deploy-agent.fullname" . }}-runbook
{{- else -}}
{{- .Values.runbook.configMap.name -}}
{{- end -}}
{{- end -}}

{{- define "supabase-deploy-agent.runbookPath" -}}
{{- $path := .Values.runbook.path -}}
{{- if include "supabase-deploy-agent.runbookMap" . -}}
{{- printf "/runbook/%s" (ternary "deploy.yaml" .Values.runbook.configMap.key (not (empty .Values.runbook.inline))) -}}
{{- else if not $path -}}
{{- printf "%s/deploy.yaml" (include "supabase-deploy-agent.migrationsPath" . | dir) -}}
{{- else if eq .Values.migrations.source "git" -}}
{{- printf "/git/current/%s" (trimPrefix "/" $path) -}}
{{- else if eq .Values.migrations.source "oci" -}}
{{- printf "/project/supabase/%s" (trimPrefix "/" $path) -}}
{{- else -}}
{{- $path -}}
{{- end -}}
{{- end -}}

{{/* Volumes that hold the migrations. */}}
{{- define "supabase-deploy-agent.migrationsVolumes" -}}
{{- $values := .Values.migrations -}}
{{- if eq $values.source "git" }}
- name: deploy-agent-migrations
  emptyDir: {sizeLimit: 1Gi}
- name: deploy-agent-git-tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with $values.git.existingSecret }}
- name: deploy-agent-git-secret
  secret: {secretName: {{ . | quote }}, defaultMode: 0444}
{{- end }}
{{- else if eq $values.source "configMap" }}
- name: deploy-agent-migrations
  configMap: {name: {{ $values.configMap.name | quote }}}
{{- else if eq $values.source "oci" }}
- name: deploy-agent-migrations
  image: {reference: {{ $values.oci.reference | quote }}, pullPolicy: {{ $values.oci.pullPolicy }}}
{{- else if $values.image.reference }}
- name: deploy-agent-migrations
  emptyDir: {sizeLimit: 1Gi}
{{- end }}
{{- end -}}

{{- define "supabase-deploy-agent.migrationsMounts" -}}
{{- $values := .Values.migrations -}}
{{- if eq $values.source "git" }}
- {name: deploy-agent-migrations, mountPath: /git, readOnly: true}
{{- else if eq $values.source "configMap" }}
- {name: deploy-agent-migrations, mountPath: /project/supabase/migrations, readOnly: true}
{{- else if or (eq $values.source "oci") $values.image.reference }}
- {name: deploy-agent-migrations, mountPath: /project/supabase, readOnly: true}
{{- end }}
{{- end -}}

{{/* git-sync. Call with a list: the context, the container's name, whether it looks only once. */}}
{{- define "supabase-deploy-agent.gitSync" -}}
{{- $values := (index . 0).Values -}}
{{- $git := $values.migrations.git -}}
{{- $ssh := not (hasPrefix "http" $git.repository) -}}
- name: {{ index . 1 }}
  image: {{ $git.image | quote }}
  imagePullPolicy: IfNotPresent
  args:
    - --repo={{ $git.repository }}
    - --ref={{ $git.ref }}
    - --root=/git/root
    - --link=/git/current
    - --depth=1
    {{- if index . 2 }}
    - --one-time
    {{- else }}
    - --period={{ $git.period }}
    - --max-failures=-1
    {{- /* who reads an older commit can finish */}}
    - --stale-worktree-timeout=10m
    - --http-bind=:8081
    {{- end }}
    {{- if and $git.existingSecret $ssh }}
    - --ssh-key-file=/etc/git-secret/ssh_key
    - --ssh-known-hosts-file=/etc/git-secret/known_hosts
    {{- else if $git.existingSecret }}
    - --username={{ $git.username }}
    - --password-file=/etc/git-secret/password
    {{- end }}
  env:
    - {name: HOME, value: /tmp}
  {{- if not (index . 2) }}
  ports:
    - {name: git-http, containerPort: 8081, protocol: TCP}
  livenessProbe:
    httpGet: {path: /, port: git-http}
    periodSeconds: 30
    timeoutSeconds: 5
    failureThreshold: 5
  {{- end }}
  resources:
    {{- toYaml $git.resources | nindent 4 }}
  securityContext:
    {{- /* git-sync's own user: ssh wants one that has a name */}}
    {{- toYaml (merge (dict "runAsUser" 65533 "runAsGroup" 65533) $values.securityContext) | nindent 4 }}
  volumeMounts:
    - {name: deploy-agent-migrations, mountPath: /git}
    - {name: deploy-agent-git-tmp, mountPath: /tmp}
    {{- if $git.existingSecret }}
    - {name: deploy-agent-git-secret, mountPath: /etc/git-secret, readOnly: true}
    {{- end }}
{{- end -}}

{{/* Init containers that fetch the migrations, where a volume alone does not. */}}
{{- define "supabase-deploy-agent.migrations" -}}
{{- $values := .Values.migrations -}}
{{- if eq $values.source "git" }}
{{ include "supabase-deploy-agent.gitSync" (list . "deploy-agent-git" true) }}
{{- else if and (eq $values.source "image") $values.image.reference }}
- name: deploy-agent-copy
  image: {{ $values.image.reference | quote }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  command: [cp, -R, {{ printf "%s/." $values.image.directory | quote }}, /migrations]
  resources: {requests: {cpu: 10m, memory: 16Mi, ephemeral-storage: 16Mi}, limits: {memory: 64Mi, ephemeral-storage: 1Gi}}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
    - {name: deploy-agent-migrations, mountPath: /migrations}
{{- end }}
{{- end -}}
