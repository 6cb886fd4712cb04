{{- define "hpcg.environment" -}}
OCIFIT_SIZE: "{{ .Values.hpcg.nx }} {{ .Values.hpcg.ny }} {{ .Values.hpcg.nz }}"
OCIFIT_SECONDS: {{ .Values.hpcg.seconds | quote }}
{{- end -}}

{{- define "hpcg.prepare" -}}
printf '\n\n%s\n%s\n' "$OCIFIT_SIZE" "$OCIFIT_SECONDS" | tee hpcg.dat
{{- end -}}

{{- define "hpcg.setup" }}{{ end -}}

{{- define "hpcg.results" -}}
echo "FLUX-RESULTS START"
cat hpcg*.txt
echo "HPCG-BENCHMARKS"
cat HPCG-Benchmark*.txt
echo "FLUX-RESULTS END"
{{- end -}}
