{{/* Environment of the agent: `secrets.env`. */}}
{{- define "supabase-deploy-agent.env" -}}
- {name: DEPLOY_AGENT_CONFIG, value: /etc/deploy-agent/deploy-agent.yaml}
{{- range .Values.secrets.env }}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ default $.Values.secrets.existingSecret .secret | quote }}, key: {{ .key | quote }}}}
{{- end }}
{{- end -}}

{{/* What the agent reads and writes. */}}
{{- define "supabase-deploy-agent.mounts" -}}
- {name: deploy-agent-config, mountPath: /etc/deploy-agent, readOnly: true}
- {name: deploy-agent-secrets, mountPath: {{ include "supabase-deploy-agent.secretsFolder" . }}, readOnly: true}
- {name: deploy-agent-data, mountPath: /var/lib/deploy-agent}
- {name: deploy-agent-tmp, mountPath: /tmp}
{{- if include "supabase-deploy-agent.runbookMap" . }}
- {name: deploy-agent-runbook, mountPath: /runbook, readOnly: true}
{{- end }}
{{- include "supabase-deploy-agent.migrationsMounts" . }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "supabase-deploy-agent.tmpVolume" -}}
- name: deploy-agent-tmp
{{- if .Values.tmp.storageClass }}
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {{ .Values.tmp.storageClass | quote }}
        resources: {requests: {storage: {{ .Values.tmp.sizeLimit }}}}
{{- else }}
  emptyDir: {sizeLimit: {{ .Values.tmp.sizeLimit }}}
{{- end }}
{{- end -}}

{{/* Volumes of the agent, but for `/var/lib/deploy-agent`. */}}
{{- define "supabase-deploy-agent.volumes" -}}
- name: deploy-agent-config
  configMap: {name: {{ include "supabase-deploy-agent.fullname" . }}}
- name: deploy-agent-secrets
  {{- /* 0444: the agent's user reads them also where the pod has another fsGroup; only its own containers mount them */}}
  secret: {secretName: {{ .Values.secrets.existingSecret | quote }}, defaultMode: 0444}
{{ include "supabase-deploy-agent.tmpVolume" . }}
{{- with include "supabase-deploy-agent.runbookMap" . }}
- name: deploy-agent-runbook
  configMap: {name: {{ . | quote }}}
{{- end }}
{{- include "supabase-deploy-agent.migrationsVolumes" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The volume `/var/lib/deploy-agent` where no StatefulSet makes it. */}}
{{- define "supabase-deploy-agent.dataVolume" -}}
- name: deploy-agent-data
{{- if .Values.persistence.enabled }}
  persistentVolumeClaim: {claimName: {{ default (include "supabase-deploy-agent.fullname" .) .Values.persistence.existingClaim | quote }}}
{{- else }}
  emptyDir: {sizeLimit: 1Gi}
{{- end }}
{{- end -}}

{{/* `deploy-agent serve` with its probes. As a sidecar it has no readiness: the application's pod can serve without it. */}}
{{- define "supabase-deploy-agent.serve" -}}
name: deploy-agent
image: {{ include "supabase-deploy-agent.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve]
env:
  {{- include "supabase-deploy-agent.env" . | nindent 2 }}
ports:
  - {name: agent-http, containerPort: 8080, protocol: TCP}
startupProbe:
  httpGet: {path: /livez, port: agent-http}
  {{- toYaml .Values.probes.startup | nindent 2 }}
livenessProbe:
  httpGet: {path: /livez, port: agent-http}
  {{- toYaml .Values.probes.liveness | nindent 2 }}
{{- if eq .Values.mode "serve" }}
readinessProbe:
  httpGet: {path: /readyz, port: agent-http}
  {{- toYaml .Values.probes.readiness | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
  {{- include "supabase-deploy-agent.mounts" . | nindent 2 }}
{{- end -}}

{{/* Metadata of a pod. Call with a list: the context, its component, more annotations. */}}
{{- define "supabase-deploy-agent.podMetadata" -}}
{{- $context := index . 0 -}}
labels:
  {{- include "supabase-deploy-agent.labels" $context | nindent 2 }}
  app.kubernetes.io/component: {{ index . 1 }}
  {{- with $context.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  kubectl.kubernetes.io/default-container: deploy-agent
  checksum/settings: {{ include "supabase-deploy-agent.settings" $context | sha256sum }}
  {{- with $context.Values.runbook.inline }}
  checksum/runbook: {{ sha256sum . }}
  {{- end }}
  {{- with index . 2 }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with $context.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What the pods of the agent, of its Job and of its test have in common. */}}
{{- define "supabase-deploy-agent.podSpec" -}}
serviceAccountName: {{ include "supabase-deploy-agent.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - {name: {{ . | quote }}}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- with .Values.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
{{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}}
{{- end }}
{{- end -}}
