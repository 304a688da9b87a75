{{/* Seconds of a duration as the agent reads it: 300, "5m", "1h30m", "500ms"; rounded up. */}}
{{- define "supabase-deploy-agent.seconds" -}}
{{- $text := toString . -}}
{{- $seconds := 0.0 -}}
{{- if regexMatch "^[0-9.]+(e[+]?[0-9]+)?$" $text -}}
{{- $seconds = float64 $text -}}
{{- else -}}
{{- $units := dict "ms" 0.001 "s" 1.0 "m" 60.0 "min" 60.0 "h" 3600.0 "d" 86400.0 -}}
{{- range regexFindAll "[0-9.]+\\s*(ms|min|s|m|h|d)" $text -1 -}}
{{- $number := float64 (regexFind "^[0-9.]+" .) -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $seconds = addf $seconds (mulf $number (get $units $unit)) -}}
{{- end -}}
{{- end -}}
{{- ceil $seconds | int64 -}}
{{- end -}}

{{/* How long the pod may take to end: what a deploy needs to reach a safe point and undo itself, and 30 s more. */}}
{{- define "supabase-deploy-agent.gracePeriod" -}}
{{- if kindIs "invalid" .Values.terminationGracePeriodSeconds -}}
{{- $grace := get (default dict .Values.config.deploy) "cancel_grace_s" -}}
{{- if or (kindIs "invalid" $grace) (eq (toString $grace) "") -}}
{{- $grace = 300 -}}
{{- end -}}
{{- add (include "supabase-deploy-agent.seconds" $grace | int64) 30 -}}
{{- else -}}
{{- .Values.terminationGracePeriodSeconds | int64 -}}
{{- end -}}
{{- end -}}

{{- define "supabase-deploy-agent.secretsFolder" -}}/run/secrets/deploy-agent{{- end -}}

{{/* The agent's settings file: what the values say, and what only the chart can know. */}}
{{- define "supabase-deploy-agent.settings" -}}
{{- $settings := deepCopy .Values.config -}}
{{- $_ := set $settings "state_dir" "/var/lib/deploy-agent" -}}
{{- $_ := set $settings "migrations" (include "supabase-deploy-agent.migrationsPath" .) -}}
{{- $_ := set $settings "runbook" (include "supabase-deploy-agent.runbookPath" .) -}}
{{- $_ := set $settings "log" (merge (default dict $settings.log) (dict "format" "json")) -}}
{{- if ne .Values.mode "job" -}}
{{- $_ := set $settings "http" (merge (dict "host" "0.0.0.0" "port" 8080) (default dict $settings.http)) -}}
{{- end -}}
{{- range $setting, $key := .Values.secrets.keys -}}
{{- if and $key (or (ne $.Values.mode "job") (not (hasPrefix "http." $setting))) -}}
{{- $path := splitList "." $setting -}}
{{- $section := $settings -}}
{{- range initial $path -}}
{{- $inner := default dict (get $section .) -}}
{{- $_ := set $section . $inner -}}
{{- $section = $inner -}}
{{- end -}}
{{- $_ := set $section (printf "%s_file" (last $path)) (printf "%s/%s" (include "supabase-deploy-agent.secretsFolder" $) $key) -}}
{{- end -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}
