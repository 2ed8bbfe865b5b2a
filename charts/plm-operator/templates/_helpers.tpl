{{- define "plm-operator.selector" -}}
app.kubernetes.io/name: plm-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "plm-operator.labels" -}}
{{ include "plm-operator.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: plm
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
