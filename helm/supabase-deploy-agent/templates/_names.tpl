{{/* The name of the release's objects, at most 52 characters so that a StatefulSet's pods can have it. */}}
{{- define "supabase-deploy-agent.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "supabase-deploy-agent.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "supabase-deploy-agent.labels" -}}
{{ include "supabase-deploy-agent.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Metadata of an object. Call with a list: the context, the name's suffix, the object's own annotations and labels. */}}
{{- define "supabase-deploy-agent.metadata" -}}
{{- $context := index . 0 -}}
{{- $annotations := merge (dict) (index . 2) $context.Values.commonAnnotations -}}
name: {{ include "supabase-deploy-agent.fullname" $context }}{{ index . 1 }}
namespace: {{ $context.Release.Namespace }}
labels:
  {{- include "supabase-deploy-agent.labels" $context | nindent 2 }}
  {{- with index . 3 }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Annotations that tie an object to a release. Call with a list: the context, the weight, the policy of deletion. */}}
{{- define "supabase-deploy-agent.hook" -}}
{{- $job := (index . 0).Values.job -}}
{{- if ne (index . 0).Values.mode "job" -}}
{}
{{- else if eq $job.hook "helm" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ index . 1 | quote }}
helm.sh/hook-delete-policy: {{ index . 2 }}
{{- else if eq $job.hook "argocd" -}}
argocd.argoproj.io/hook: PreSync
argocd.argoproj.io/hook-delete-policy: BeforeHookCreation
argocd.argoproj.io/sync-wave: {{ index . 1 | quote }}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{/* As above, for what the Job needs: it comes before the Job, and goes when the Job has succeeded. */}}
{{- define "supabase-deploy-agent.hookNeeds" -}}
{{- include "supabase-deploy-agent.hook" (list . (sub (int .Values.job.weight) 10) "before-hook-creation,hook-succeeded") -}}
{{- end -}}

{{- define "supabase-deploy-agent.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "supabase-deploy-agent.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "supabase-deploy-agent.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}
