{{- define "generic.environment" -}}
OCIFIT_COMMAND: {{ .Values.experiment.command | quote }}
OCIFIT_APPLICATION_FILE: {{ .Values.application.file | quote }}
{{- end -}}

{{- define "generic.prepare" }}{{ end -}}

{{- define "generic.setup" -}}
{{ .Values.application.setup }}
{{- end -}}

{{- define "generic.results" }}{{ end -}}
