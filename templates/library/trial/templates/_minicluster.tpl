{{/*
The MiniCluster of one trial. A chart that uses it defines, under its own name:
  NAME.environment  variables of the container, beside those that every trial has
  NAME.prepare      shell lines before the batch script is written, or nothing
  NAME.setup        lines of the batch script before the first run, or nothing
  NAME.results      lines of the batch script after the last run, or nothing
*/}}
{{- define "trial.minicluster" -}}
{{- $e := .Values.experiment }}
{{- $m := .Values.minicluster -}}
apiVersion: flux-framework.org/v1alpha2
kind: MiniCluster
metadata:
  name: {{ .Release.Name }}
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/managed-by: {{ .Release.Service }}
    helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
    {{- range $k, $v := .Values.label }}
    {{ $k }}: {{ $v | toString | quote }}
    {{- end }}
  {{- with .Values.annotation }}
  annotations:
    {{- range $k, $v := . }}
    {{ $k }}: {{ $v | toString | quote }}
    {{- end }}
  {{- end }}
spec:
  size: {{ $m.size }}
  logging:
    quiet: true
  flux:
    container:
      disable: {{ not $m.addFlux }}
  pod:
    labels:
      app.kubernetes.io/name: {{ .Chart.Name }}
      {{- range $k, $v := .Values.podLabel }}
      {{ $k }}: {{ $v | toString | quote }}
      {{- end }}
  containers:
  - name: {{ .Release.Name }}
    image: {{ $m.image | quote }}
    command: /bin/bash /tmp/trial.sh
    launcher: true
    runFlux: true
    {{- with $m.workdir }}
    workingDir: {{ . }}
    {{- end }}
    environment:
      OCIFIT_APP: {{ .Chart.Name }}
      OCIFIT_NODES: {{ $e.nodes | quote }}
      OCIFIT_TASKS: {{ $e.tasks | toString | quote }}
      OCIFIT_ITERATIONS: {{ $e.iterations | quote }}
      OCIFIT_EXCLUSIVE: {{ $e.exclusive | quote }}
      OCIFIT_SAVE_LOGS: {{ $m.save_logs | quote }}
      {{- include (printf "%s.environment" .Chart.Name) . | trim | nindent 6 }}
    commands:
      pre: |
        {{- with include (printf "%s.prepare" .Chart.Name) . | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        cat > /tmp/trial.sh <<'TRIAL'
        {{- include "trial.script" . | nindent 8 }}
        TRIAL
        cat /tmp/trial.sh
{{- end -}}
