{{- define "stream.environment" -}}
OCIFIT_THREADS: {{ .Values.stream.threads | toString | quote }}
{{- end -}}

{{- define "stream.prepare" }}{{ end -}}

{{/* Flux counts physical cores. One thread on each, spread over them, is what saturates the memory. */}}
{{- define "stream.setup" -}}
export OMP_NUM_THREADS={{ .Values.stream.threads | toString | default "$(flux resource list -s all -no {ncores})" }}
export OMP_PLACES=cores OMP_PROC_BIND=spread
{{- end -}}

{{/* STREAM prints its result while it runs, between the markers. */}}
{{- define "stream.results" }}{{ end -}}
