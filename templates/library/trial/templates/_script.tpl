{{/* The name of the application, which names the runs. */}}
{{- define "trial.name" -}}
{{- with .Values.application }}{{ .name }}{{ else }}{{ .Chart.Name }}{{ end -}}
{{- end -}}

{{/* The batch script of a trial. Flux's own tools only: a trial that installs packages measures the network. */}}
{{- define "trial.script" -}}
{{- $e := .Values.experiment -}}
#!/bin/bash
set -euo pipefail
{{- with include (printf "%s.setup" .Chart.Name) . | trim }}
{{ . }}
{{- end }}
flux resource list

for i in {1..{{ $e.iterations }}}
do
  echo "FLUX-RUN START {{ include "trial.name" . }}-iter-$i"
  flux run --job-name={{ include "trial.name" . }}-iter-$i -N{{ $e.nodes }} {{ with $e.tasks | toString }}-n {{ . }} {{ end }}-o cpu-affinity=per-task -o gpu-affinity=off {{ if $e.exclusive }}--exclusive {{ end }}{{ $e.command }}
  echo "FLUX-RUN END {{ include "trial.name" . }}-iter-$i"
done
{{- with include (printf "%s.results" .Chart.Name) . | trim }}

{{ . }}
{{- end }}
{{- if .Values.minicluster.save_logs }}

flux jobs --all --no-header --format '{id.dec} {name}' | while read -r id name
do
  echo
  echo "FLUX-JOB START $id $name"
  echo "FLUX-JOB-JOBSPEC START"
  flux job info "$id" jobspec
  echo "FLUX-JOB-JOBSPEC END"
  echo "FLUX-JOB-RESOURCES START"
  flux job info "$id" R
  echo "FLUX-JOB-RESOURCES END"
  echo "FLUX-JOB-EVENTLOG START"
  flux job info "$id" guest.exec.eventlog
  echo
  echo "FLUX-JOB-EVENTLOG END"
  echo "FLUX-JOB END $id $name"
done
echo "FLUX JOB STATS"
flux job stats
{{- end }}
{{- end -}}
