{{/*
For charts that put the agent, or its `wait`, into their own pods. They depend on this chart and call the templates with
its context: {{ $agent := index .Subcharts "supabase-deploy-agent" }}. See docs/kubernetes.md and helm/examples/app.

  supabase-deploy-agent.waitContainers    init containers: `deploy-agent wait`, and what fetches the migrations for it
  supabase-deploy-agent.waitVolumes       the volumes that they need
  supabase-deploy-agent.sidecarContainers init containers: the agent as a sidecar that starts before, and ends after,
                                          the application (Kubernetes' own sidecars, 1.29), and what fetches the migrations
  supabase-deploy-agent.waitContainer     after the sidecar: `deploy-agent wait` alone
  supabase-deploy-agent.sidecarVolumes    the volumes that these need
  supabase-deploy-agent.gracePeriod       terminationGracePeriodSeconds of a pod with the sidecar
*/}}

{{- define "supabase-deploy-agent.waitOwnVolumes" -}}
- name: deploy-agent-url
  secret:
    secretName: {{ .Values.secrets.existingSecret | quote }}
    defaultMode: 0444
    items: [{key: {{ .Values.secrets.keys.database_url | quote }}, path: database_url}]
- name: deploy-agent-wait
  emptyDir: {sizeLimit: 64Mi}
{{- end -}}

{{- define "supabase-deploy-agent.waitVolumes" -}}
{{- include "supabase-deploy-agent.check" . -}}
{{ include "supabase-deploy-agent.waitOwnVolumes" . }}
{{- if eq .Values.wait.version "latest" }}
{{- include "supabase-deploy-agent.migrationsVolumes" . }}
{{- end }}
{{- end -}}

{{/* The init container itself. It knows the database's URL and nothing else of the agent. */}}
{{- define "supabase-deploy-agent.waitContainer" -}}
- name: deploy-agent-wait
  image: {{ include "supabase-deploy-agent.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [wait, {{ .Values.wait.version | quote }}, --timeout, {{ .Values.wait.timeout | quote }}]
  env:
    - {name: DEPLOY_AGENT_DATABASE_URL_FILE, value: {{ include "supabase-deploy-agent.secretsFolder" . }}/database_url}
    - {name: DEPLOY_AGENT_MIGRATIONS, value: {{ include "supabase-deploy-agent.migrationsPath" . | quote }}}
    - {name: DEPLOY_AGENT_STATE_DIR, value: /tmp/deploy-agent}
  resources:
    {{- toYaml .Values.wait.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
    - {name: deploy-agent-url, mountPath: {{ include "supabase-deploy-agent.secretsFolder" . }}, readOnly: true}
    - {name: deploy-agent-wait, mountPath: /tmp}
    {{- if eq .Values.wait.version "latest" }}
    {{- include "supabase-deploy-agent.migrationsMounts" . | trim | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "supabase-deploy-agent.waitContainers" -}}
{{- if eq .Values.wait.version "latest" }}
{{- include "supabase-deploy-agent.migrations" . }}
{{- end }}
{{ include "supabase-deploy-agent.waitContainer" . }}
{{- end -}}

{{- define "supabase-deploy-agent.sidecarVolumes" -}}
{{- include "supabase-deploy-agent.check" . -}}
{{- if not .Values.sidecar.enabled -}}
{{- fail "sidecar.enabled is false, and the sidecar is included: it needs its settings and its volume" -}}
{{- end -}}
{{ include "supabase-deploy-agent.volumes" . }}
{{ include "supabase-deploy-agent.dataVolume" . }}
{{ include "supabase-deploy-agent.waitOwnVolumes" . }}
{{- end -}}

{{- define "supabase-deploy-agent.sidecarContainers" -}}
{{- include "supabase-deploy-agent.migrations" . }}
{{- if eq .Values.migrations.source "git" }}
{{ include "supabase-deploy-agent.gitSync" (list . "deploy-agent-git-sync" false) }}
  restartPolicy: Always
{{- end }}
- restartPolicy: Always
  {{- include "supabase-deploy-agent.serve" . | nindent 2 }}
{{- end -}}
