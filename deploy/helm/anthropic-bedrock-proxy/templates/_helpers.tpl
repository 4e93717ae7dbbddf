{{- define "proxy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "proxy.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "proxy.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "proxy.selector" -}}
app.kubernetes.io/name: {{ include "proxy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: proxy
{{- end }}

{{- define "executor.selector" -}}
app.kubernetes.io/name: {{ include "proxy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: executor
{{- end }}

{{- define "proxy.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "proxy.labels" -}}
{{ include "proxy.selector" . }}
{{ include "proxy.commonLabels" . }}
{{- end }}

{{- define "proxy.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "proxy.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "proxy.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "executor.image" -}}
{{- $image := .Values.executor.image }}
{{- $repository := default .Values.image.repository $image.repository }}
{{- if $image.digest }}
{{- printf "%s@%s" $repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default (printf "%s-ptc" .Chart.AppVersion) $image.tag) }}
{{- end }}
{{- end }}

{{- define "executor.urls" -}}
{{- $name := printf "%s-executor" (include "proxy.fullname" .) }}
{{- $urls := list }}
{{- range $number := until (int .Values.executor.replicaCount) }}
{{- $urls = append $urls (printf "http://%s-%d.%s:8001" $name $number $name) }}
{{- end }}
{{- join "," $urls }}
{{- end }}

{{- define "proxy.isEmbedded" -}}
{{- if hasPrefix "sqlite:" .Values.store.url }}true{{ end }}
{{- end }}

{{- define "proxy.isSeveral" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicaCount) 1) }}true{{ end }}
{{- end }}

{{- define "proxy.isExposed" -}}
{{- if or .Values.ingress.enabled (ne .Values.service.type "ClusterIP") }}true{{ end }}
{{- end }}

{{- define "proxy.check" -}}
{{- if include "proxy.isSeveral" . }}
{{- if include "proxy.isEmbedded" . }}
{{- fail "several replicas cannot share a SQLite file: set store.url to dynamodb://, or replicaCount to 1" }}
{{- end }}
{{- if and (hasPrefix "memory:" .Values.limits.url) (not .Values.limits.perReplica) }}
{{- fail "several replicas count limits together in Redis: set limits.url to redis://HOST:PORT/DB, or limits.perReplica to true if each may have every limit for itself" }}
{{- end }}
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- fail "autoscaling.maxReplicas is at least autoscaling.minReplicas" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "an ingress needs the names that it answers to: ingress.hosts" }}
{{- end }}
{{- if and (include "proxy.isExposed" .) (hasKey .Values.settings "REQUIRE_API_KEY") }}
{{- fail "who is reached from outside of the cluster needs keys: settings may not set REQUIRE_API_KEY with an ingress, or a service.type other than ClusterIP" }}
{{- end }}
{{- if and (include "proxy.isExposed" .) .Values.metrics.serviceMonitor.enabled (not .Values.metrics.serviceMonitor.tokenKey) }}
{{- fail "whoever reaches the proxy from outside of the cluster would read its metrics: put METRICS_TOKEN into a secret, and name it as metrics.serviceMonitor.tokenKey" }}
{{- end }}
{{- if and .Values.executor.enabled (not .Values.existingSecret) }}
{{- fail "an executor needs a token: put SANDBOX_TOKEN into a secret and name it as existingSecret" }}
{{- end }}
{{- end }}
