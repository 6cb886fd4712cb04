# The study's loop for one model, without its pauses: CHART TRIALS ARTIFACT.
set -euo pipefail
for i in $(seq "$2"); do
  helm install --set experiment.nodes=1 --set minicluster.size=1 --set minicluster.save_logs=true \
    --set minicluster.image=placeholder:latest --set experiment.iterations=3 --set experiment.exclusive=true \
    --set-string "label.oci\.image\.compatibilities\.selection/enabled"=true \
    --set "annotation.oci\.image\.compatibilities\.selection/model"=fom \
    --set "annotation.oci\.image\.compatibilities\.selection/image-ref"="$3" hpcg "$1" >helm.txt
  until kubectl get pods -l job-name=hpcg -o name | grep -q .; do :; done
  kubectl wait --for=condition=ready pod -l job-name=hpcg --timeout=600s
  kubectl get pods >pod-time.txt
  pod=$(kubectl get pods -l job-name=hpcg -o jsonpath='{.items[0].metadata.name}')
  kubectl logs "$pod" -c hpcg -f >hpcg.out 2>&1
  kubectl get pod "$pod" -o json >pod.json
  [ "$(grep -c '^FLUX-RUN END ' hpcg.out)" = 3 ]
  helm uninstall hpcg
  kubectl wait --for=delete pod -l job-name=hpcg --timeout=120s
done
