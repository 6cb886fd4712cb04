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
    # A run that fails is a result: started again, its log would be that of another run.
    restartPolicy: Never
    annotations:
      cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
      {{- range $k, $v := .Values.podAnnotation }}
      {{ $k }}: {{ $v | toString | quote }}
      {{- end }}
    {{- with .Values.nodeSelector }}
    nodeSelector:
      {{- range $k, $v := . }}
      {{ $k }}: {{ $v | toString | quote }}
      {{- end }}
    {{- end }}
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
    resources:
      limits:
        nvidia.com/gpu: {{ $m.gpus | toString | quote }}
        vpc.amazonaws.com/efa: {{ $m.efa | toString | quote }}
      {{- with $m.storage }}
      requests:
        ephemeral-storage: {{ . | quote }}
      {{- end }}
    volumes:
      # The engine's own /dev/shm has 64 MiB, which MPI's shared memory outgrows; an emptyDir is mounted there.
      shared-memory:
        emptyDir: true
        emptyDirMedium: memory
    environment:
      OCIFIT_APP: {{ include "trial.name" . }}
      OCIFIT_NODES: {{ $e.nodes | quote }}
      OCIFIT_TASKS: {{ $e.tasks | toString | quote }}
      OCIFIT_ITERATIONS: {{ $e.iterations | quote }}
      OCIFIT_EXCLUSIVE: {{ $e.exclusive | quote }}
      OCIFIT_SAVE_LOGS: {{ $m.save_logs | quote }}
      {{- include (printf "%s.environment" .Chart.Name) . | trim | nindent 6 }}
    commands:
      pre: |
        # The network adapters of MPI want memory that stays in place.
        { echo "ulimit -l unlimited" >> "$HOME/.bashrc"; } 2>/dev/null || true
        {{- with include (printf "%s.prepare" .Chart.Name) . | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        cat > /tmp/trial.sh <<'TRIAL'
        {{- include "trial.script" . | nindent 8 }}
        TRIAL
        cat /tmp/trial.sh
{{- end -}}
